"""Round trips and commits that transactions share.

READ COMMITTED sees, with each statement, what is committed by then, and a read without a lock
leaves nothing behind. So a transaction that has only read so needs no connection of its own yet:
its reads go out with those of others, and if all that follows are writes, those go into one
transaction with the writes of others. A crowd of claims costs two round trips and one commit.

One that fails touches nobody: then each does by itself what it had brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.state.postgres.clock import ServerClock
from adapters.state.postgres.failures import BatchFailed, unavailable
from adapters.state.postgres.link import Call, Rows
from adapters.state.postgres.pool import Pool
from adapters.state.postgres.scopes import BEGIN, COMMIT, scope_alone, scope_and_time
from core.ports.state import Scope, StoreUnavailable

_MOST_TOGETHER = 64
"""Transactions in one round: what comes after goes with the next."""

_COMMITS_AT_ONCE = 2
"""While so many are under way those that come gather for the next."""


class Apart(Exception):
    """The round failed, and nothing of it was done: do it by yourself."""


@dataclass(slots=True, eq=False)
class _Part:
    """What one transaction brings, and where it waits for its answers."""

    scope: Scope
    calls: Sequence[Call]
    answer: asyncio.Future[tuple[datetime | None, list[Rows]]]


class Rounds:
    """Gathers what is asked within one turn of the event loop."""

    def __init__(self, pool: Pool, clock: ServerClock, queue_limit: int) -> None:
        self._pool = pool
        self._queue_limit = queue_limit
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._reads: list[_Part] = []
        self._commits: list[_Part] = []
        self._committing = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, scope: Scope, calls: Sequence[Call]) -> tuple[datetime, list[Rows]]:
        """The server's time, and what the calls answer, which neither write nor lock.

        Raises Apart, StoreUnavailable.
        """
        if not self._reads:
            self._loop.call_soon(self._send_reads)
        time, answers = await self._wait(self._reads, scope, calls)
        assert time is not None
        return time, answers

    async def commit(self, scope: Scope, calls: Sequence[Call]) -> None:
        """Do these writes and commit them. Raises Apart, StoreUnavailable."""
        if not self._commits and self._committing < _COMMITS_AT_ONCE:
            self._loop.call_soon(self._send_commits)
        await self._wait(self._commits, scope, calls)

    async def _wait(
        self, place: list[_Part], scope: Scope, calls: Sequence[Call]
    ) -> tuple[datetime | None, list[Rows]]:
        if len(place) >= self._queue_limit:
            raise unavailable("too many wait for it")
        part = _Part(scope, calls, self._loop.create_future())
        place.append(part)
        return await part.answer

    def _send_reads(self) -> None:
        while self._reads:
            if parts := _taken(self._reads):
                self._start(parts, is_commit=False)

    def _send_commits(self) -> None:
        while self._commits and self._committing < _COMMITS_AT_ONCE:
            if parts := _taken(self._commits):
                self._committing += 1
                self._start(parts, is_commit=True)

    def _start(self, parts: list[_Part], *, is_commit: bool) -> None:
        work = self._commit_all(parts) if is_commit else self._read_all(parts)
        task = self._loop.create_task(work, name="postgres-round")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_all(self, parts: list[_Part]) -> None:
        calls = [call for part in parts for call in (scope_and_time(part.scope), *part.calls)]
        try:
            link = await self._pool.acquire()
            sent = self._clock.sent()
            try:
                answers = await link.run(calls)
            finally:
                self._pool.release(link)
        except (BatchFailed, StoreUnavailable) as failed:
            _fail(parts, failed)
            return
        at = 0
        for part in parts:
            end = at + 1 + len(part.calls)
            time = self._clock.told(answers[at][0][-1], sent)
            if not part.answer.done():
                part.answer.set_result((time, answers[at + 1 : end]))
            at = end

    async def _commit_all(self, parts: list[_Part]) -> None:
        calls, scope = [BEGIN], None
        for part in parts:
            if part.scope != scope:
                scope = part.scope
                calls.append(scope_alone(scope))
            calls += part.calls
        calls.append(COMMIT)
        try:
            link = await self._pool.acquire()
            try:
                await link.run(calls)
            except BatchFailed:
                await self._pool.undo(link)
                raise
            self._pool.release(link)
        except BatchFailed as failed:
            _fail(parts, failed)
        except StoreUnavailable as away:
            gathered, self._commits = self._commits, []
            _fail([*parts, *gathered], away)  # who waits behind them is no better off
        else:
            for part in parts:
                if not part.answer.done():
                    part.answer.set_result((None, []))
        finally:
            self._committing -= 1
            self._send_commits()


def _taken(place: list[_Part]) -> list[_Part]:
    """The next round's parts: those that somebody still waits for."""
    taken = place[:_MOST_TOGETHER]
    del place[:_MOST_TOGETHER]
    return [part for part in taken if not part.answer.done()]


def _fail(parts: list[_Part], failed: BatchFailed | StoreUnavailable) -> None:
    for part in parts:
        if part.answer.done():
            continue
        if isinstance(failed, StoreUnavailable):
            part.answer.set_exception(type(failed)(str(failed)))
        elif failed.answered:
            part.answer.set_exception(Apart())
        else:
            error = failed.error  # each gets one of its own, since they come to differ
            part.answer.set_exception(BatchFailed(type(error)(str(error)), answered=False))
