"""A store as seen by one process that may be killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.ports.state import Scope, State, Transaction


class MortalState:
    """A store as one process reaches it, until it is killed: from then on nothing goes through."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.dead = False

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        async with self._state.transaction(scope) as tx:
            await self._live()
            yield tx
            await self._live()
        await self._live()

    @asynccontextmanager
    async def snapshot(self, scope: Scope) -> AsyncIterator[Transaction]:
        await self._live()
        async with self._state.snapshot(scope) as view:
            yield view

    async def close(self) -> None:
        pass

    async def _live(self) -> None:
        if self.dead:
            raise asyncio.CancelledError
