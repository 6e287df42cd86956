"""Transactions in turn on the one writing connection, committed in groups.

Statements that touch few rows run on the event loop: they work on memory and take microseconds.
What may wait goes to the connection's thread: BEGIN where another process holds the lock, large
pieces of work, and every COMMIT.

Each transaction after the first of a group is a savepoint in the open outer one, so that it can
be undone alone; the group is committed when nobody else is ready, or when it is large or old
enough. Nobody is told of success before the commit that covers it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from adapters.state.sqlite.checkpoints import begin_log_anew
from adapters.state.sqlite.failures import is_locked, port_error, unavailable
from adapters.state.sqlite.group import Group
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.queue_of_turns import TurnQueue
from adapters.state.sqlite.workbench import Workbench, answer, within

Result = TypeVar("Result")


class Turn:
    """One transaction's turn at the writer, from its first statement to its end."""

    __slots__ = ("deadline", "failure", "given_up", "is_open", "is_savepoint")

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.given_up = False
        self.is_open = False
        self.is_savepoint = False
        self.deadline = 0.0


class Writer:
    """Hands out turns in order of asking. Called by the event loop, but for `log_is_large`."""

    def __init__(self, bench: Workbench, options: SqliteOptions) -> None:
        self.bench = bench
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._queue = TurnQueue(options.queue_limit, options.statement_timeout)
        self._group = Group(bench, options, self._go_on)
        self._holder: Turn | None = None
        self._commit_is_due = False
        self._restart: str | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._idle = asyncio.Event()

    async def begin(self, turn: Turn) -> None:
        """Wait for the turn and open the transaction. StoreUnavailable where that takes long.

        Whoever sees it fail calls `fail` or `give_up`.
        """
        if self._holder is not turn:
            await self._get(turn)
        if not self._open(turn):
            await self.away(turn, self._group.begin_patiently)
            turn.is_open = True

    def begin_now(self, turn: Turn) -> bool:
        """The same where nobody has to be waited for, who was here before; else False."""
        if self._closed or not (self._is_free and self._queue.is_empty):
            return False
        self._hold(turn)
        return self._open(turn)

    async def away(self, turn: Turn, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do the holder's work on the thread. Large pieces may use the transaction's whole time."""
        future: asyncio.Future[Result] = self._loop.create_future()
        limit = self._options.transaction_timeout
        self.bench.away(work, limit, partial(self._back, turn, future))
        return await within(limit, future)

    def fail(self, turn: Turn, error: Exception) -> None:
        """The transaction is undone; `turn.failure` says why."""
        turn.failure = turn.failure or port_error(error)
        self.give_up(turn)

    def give_up(self, turn: Turn) -> None:
        """Undo what was done in this turn and end it, at once or when the thread is back."""
        if self._holder is not turn:
            return
        if self.bench.is_away:
            turn.given_up = True
            return
        self._group.undo(is_savepoint=turn.is_savepoint)
        self._release(turn)

    async def commit(self, turn: Turn, rows: int) -> None:
        """End the turn, and return once the so many rows written in it are durable."""
        if not rows and not self._group.waiting:
            self.give_up(turn)
            return
        durable = self._group.join(rows, is_savepoint=turn.is_savepoint)
        self._release(turn)
        await durable

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this after each commit."""
        self._group.committed = call

    def log_is_large(self, mode: str) -> None:
        """From any thread: begin it anew as soon as no transaction is open."""

        def note() -> None:
            self._restart = mode
            self._go_on()

        with suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(note)

    async def close(self) -> None:
        """Refuse new transactions, finish those under way, close the connection. Idempotent."""
        self._closed = True
        self._note_idle()
        await self._idle.wait()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.to_thread(self.bench.close)

    @property
    def _is_free(self) -> bool:
        return self._holder is None and not self.bench.is_away

    async def _get(self, turn: Turn) -> None:
        if self._closed:
            raise unavailable("it is closed")
        if not (self._is_free and self._queue.is_empty):
            ticket = self._queue.ticket()
            try:
                await self._queue.called(ticket)
                while not self._is_free:
                    await self._queue.called(ticket)
            except BaseException:
                self._go_on()
                raise
        self._hold(turn)

    def _hold(self, turn: Turn) -> None:
        self._holder = turn
        turn.deadline = self._loop.time() + self._options.transaction_timeout
        if self._watch is None:
            self._watch = self._loop.call_at(turn.deadline, self._look_at_holder)

    def _look_at_holder(self) -> None:
        self._watch = None
        holder = self._holder
        if holder is None:
            return
        if self._loop.time() >= holder.deadline:
            self.fail(holder, unavailable("the transaction was kept open for too long"))
        else:
            self._watch = self._loop.call_at(holder.deadline, self._look_at_holder)

    def _open(self, turn: Turn) -> bool:
        """Open the transaction; False where another process has the lock."""
        turn.is_savepoint = bool(self._group.waiting)
        try:
            self._group.begin(is_savepoint=turn.is_savepoint)
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            return False
        turn.is_open = True
        return True

    def _back(
        self,
        turn: Turn,
        future: asyncio.Future[Result],
        result: object,
        error: Exception | None,
    ) -> None:
        if turn.given_up:
            answer(future, None, turn.failure or unavailable("the transaction was given up"))
            self.give_up(turn)
        else:
            answer(future, result, error)

    def _release(self, turn: Turn) -> None:
        turn.is_open = False
        turn.failure = turn.failure or RuntimeError("the transaction is over")
        self._holder = None
        self._go_on()

    def _go_on(self) -> None:
        """Commit if it is time; else let others come; else commit once those ready have come."""
        if not self._is_free:
            return
        if self._group.is_ripe:
            self._group.commit()
        elif self._restart and not self._group.waiting:
            self._begin_log_anew(self._restart)
        elif not self._queue.expects_somebody:
            self._queue.call(self._options.group_size - len(self._group.waiting))
            if self._queue.is_empty and self._group.waiting and not self._commit_is_due:
                self._commit_is_due = True
                self._loop.call_soon(self._commit_if_free)
        self._note_idle()

    def _begin_log_anew(self, mode: str) -> None:
        self._restart = None
        limit = self._options.statement_timeout
        self.bench.away(partial(begin_log_anew, mode=mode), limit, lambda *_: self._go_on())

    def _commit_if_free(self) -> None:
        self._commit_is_due = False
        if self._group.waiting and self._is_free and self._queue.is_empty:
            self._group.commit()

    def _note_idle(self) -> None:
        if self._closed and self._is_free and self._queue.is_empty and not self._group.waiting:
            self._idle.set()
