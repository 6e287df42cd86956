"""Connections that read: each serves one snapshot at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from adapters.state.sqlite.failures import port_error, unavailable
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.session import LIGHT_ROWS
from adapters.state.sqlite.workbench import Workbench, answer, execute, within

Result = TypeVar("Result")


class ReadingUnit:
    """A snapshot, of the moment of its first read: see session.Unit."""

    def __init__(self, bench: Workbench, pool: ReaderPool, deadline: float) -> None:
        self.deadline = deadline
        self._bench: Workbench | None = bench
        self._pool = pool
        self._is_open = False
        self._failure: Exception | None = None
        self._turns = asyncio.Lock()

    async def run(self, work: Callable[[sqlite3.Connection], Result], rows: int) -> Result:
        """See Unit.run."""
        if self._turns.locked() or rows > LIGHT_ROWS:
            async with self._turns:  # reads that are awaited together go one after the other
                return await self._run_away(self._opened(), work)
        try:
            return self._opened().here(work)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def end(self, failure: Exception | None = None) -> None:
        """Let go of the connection, at once or when the thread is back. Idempotent."""
        bench, self._bench = self._bench, None
        self._failure = self._failure or failure
        if bench is not None and not bench.is_away:
            self._give_back(bench)

    def _opened(self) -> Workbench:
        if self._failure is not None:
            raise self._failure
        if self._bench is None:
            raise RuntimeError("the snapshot is over")
        if not self._is_open:
            self._bench.here(execute("BEGIN"))
            self._is_open = True
        return self._bench

    async def _run_away(
        self, bench: Workbench, work: Callable[[sqlite3.Connection], Result]
    ) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        limit = self._pool.options.statement_timeout
        bench.away(work, limit, partial(self._back, bench, future))
        try:
            return await within(limit, future)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        except BaseException:
            self.end(unavailable("a read of it was given up"))  # the thread may still be at it
            raise

    def _back(
        self,
        bench: Workbench,
        future: asyncio.Future[Result],
        result: object,
        error: Exception | None,
    ) -> None:
        if self._bench is None:  # ended meanwhile
            self._give_back(bench)
            error = error or self._failure or unavailable("the snapshot is over")
        answer(future, result, error)

    def _give_back(self, bench: Workbench) -> None:
        bench.roll_back()
        self._pool.release(self, bench)

    def _failed(self, error: Exception) -> Exception:
        self._failure = port_error(error)
        return self._failure


class ReaderPool:
    """Hands out idle connections, first come, first served, for a limited time."""

    def __init__(self, benches: Sequence[Workbench], options: SqliteOptions) -> None:
        self.options = options
        self._loop = asyncio.get_running_loop()
        self._all = tuple(benches)
        self._idle = list(benches)
        self._busy: set[ReadingUnit] = set()
        self._waiting: deque[asyncio.Future[Workbench]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._drained = asyncio.Event()

    async def acquire(self) -> ReadingUnit:
        """A connection for one snapshot. StoreUnavailable where none is free in time."""
        if self._closed:
            raise unavailable("it is closed")
        bench = self._idle.pop() if self._idle else await self._wait()
        unit = ReadingUnit(bench, self, self._loop.time() + self.options.transaction_timeout)
        self._busy.add(unit)
        if self._watch is None:
            self._watch = self._loop.call_at(unit.deadline, self._end_the_late)
        return unit

    def release(self, unit: ReadingUnit | None, bench: Workbench) -> None:
        """Hand the connection on."""
        if unit is not None:
            self._busy.discard(unit)
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(bench)
                return
        self._idle.append(bench)
        self._note_drained()

    async def close(self) -> None:
        """Refuse new snapshots, wait for those that are open, close. Idempotent."""
        self._closed = True
        self._note_drained()
        await self._drained.wait()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.to_thread(self._close_all)

    async def _wait(self) -> Workbench:
        if len(self._waiting) >= self.options.queue_limit:
            raise unavailable("too many snapshots wait for it")
        future: asyncio.Future[Workbench] = self._loop.create_future()
        self._waiting.append(future)
        try:
            return await within(self.options.statement_timeout, future)
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(None, future.result())  # it was handed over in the same moment
            raise

    def _end_the_late(self) -> None:
        self._watch = None
        now = self._loop.time()
        for unit in [unit for unit in self._busy if unit.deadline <= now]:
            unit.end(unavailable("the snapshot was kept open for too long"))
        if self._busy:
            soonest = min(unit.deadline for unit in self._busy)
            self._watch = self._loop.call_at(max(soonest, now + 0.1), self._end_the_late)

    def _note_drained(self) -> None:
        if self._closed and len(self._idle) == len(self._all):
            self._drained.set()

    def _close_all(self) -> None:
        for bench in self._all:
            bench.close()
