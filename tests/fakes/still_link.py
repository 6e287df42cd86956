"""Connections to PostgreSQL on virtual time, which stands still while the server works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager

from adapters.state.postgres.connecting import connect
from adapters.state.postgres.link import Call, Link, Rows
from adapters.state.postgres.options import PostgresOptions
from fakes.virtual_time import VirtualTimeLoop


def _standing_still() -> AbstractContextManager[None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.standing_still()


class StillLink(Link):
    """A connection for whose answers time waits."""

    async def run(self, calls: Sequence[Call]) -> list[Rows]:
        with _standing_still():
            return await super().run(calls)

    async def drained(self) -> None:
        with _standing_still():
            await super().drained()


async def still_connect(options: PostgresOptions, target: str) -> Link:
    """In place of adapters.state.postgres.connecting.connect."""
    with _standing_still():
        return await connect(options, target, StillLink)
