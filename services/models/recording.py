"""Writes of bare generations that share their commits, so that none pays for one by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from core.identifiers import TenantId
from core.ports.state import EVERY_TENANT, State, StoreUnavailable, Transaction

Result = TypeVar("Result")
Work = Callable[[Transaction], Awaitable[Result]]
"""What is to be written. It may be done anew in another transaction, where one was undone."""

_TOGETHER = 32
"""Works of one commit at most."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    tenant: TenantId
    work: Work[Any]  # each with the type of its own future
    done: asyncio.Future[Any]


class Recorder:
    """Commits what is wanted at the same time together; who comes meanwhile goes with the next.

    Each is judged alone: where one cannot be written, the others are all the same. A store that
    is away is told to all of a commit, with whether its outcome is known.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: deque[_Wanted] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def write(self, tenant: TenantId, work: Work[Result]) -> Result:
        """What the work returned, once it is committed. Raises what it raised, StoreUnavailable.

        Whoever is cancelled meanwhile does not know whether it was.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Wanted(tenant, work, done))
        if self._writing is None:
            self._writing = loop.create_task(self._write())
        return await done

    async def _write(self) -> None:
        batch: list[_Wanted] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))]
                await self._commit(batch)
        finally:
            self._writing = None
            for wanted in (*batch, *self._waiting):  # only where the process ends are there any
                wanted.done.cancel()
            self._waiting.clear()

    async def _commit(self, batch: list[_Wanted]) -> None:
        if len(batch) == 1:
            await self._commit_alone(batch[0])
            return
        try:
            async with self._state.transaction(EVERY_TENANT) as tx:
                results = [await wanted.work(tx) for wanted in batch]
        except StoreUnavailable as away:
            for wanted in batch:
                _fail(wanted, away)
        except Exception:  # noqa: BLE001  # it is one's own, and told to that one
            for wanted in batch:
                await self._commit_alone(wanted)
        else:
            for wanted, result in zip(batch, results, strict=True):
                if not wanted.done.done():
                    wanted.done.set_result(result)

    async def _commit_alone(self, wanted: _Wanted) -> None:
        try:
            async with self._state.transaction(wanted.tenant) as tx:
                result = await wanted.work(tx)
        except Exception as error:  # noqa: BLE001  # whoever wants it is told
            _fail(wanted, error)
        else:
            if not wanted.done.done():
                wanted.done.set_result(result)


def _fail(wanted: _Wanted, error: Exception) -> None:
    if not wanted.done.done():
        wanted.done.set_exception(error)
