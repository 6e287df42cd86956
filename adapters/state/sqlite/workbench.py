"""A connection that the event loop and a thread use in turns."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar, cast

from adapters.state.sqlite.back_thread import BackThread, Done
from adapters.state.sqlite.connection import StatementClock
from adapters.state.sqlite.failures import unavailable
from adapters.state.sqlite.options import SqliteOptions
from core.identifiers import Seconds

Result = TypeVar("Result")


class Workbench:
    """A connection, used by the loop and by its thread in turns, never by both at once."""

    def __init__(
        self, connection: sqlite3.Connection, options: SqliteOptions, thread: BackThread
    ) -> None:
        self.connection = connection
        self.is_away = False
        """Whether the thread has it."""
        self._clock = StatementClock(connection)
        self._limit = options.statement_timeout
        self._thread = thread

    def here(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do the work where this is called."""
        self._clock.start(self._limit)
        return work(self.connection)

    def away(
        self, work: Callable[[sqlite3.Connection], object], limit: Seconds, done: Done
    ) -> None:
        """Do the work on the thread within the limit, and then call `done` on the loop."""

        def timed() -> object:
            self._clock.start(limit)
            return work(self.connection)

        def back(result: object, error: Exception | None) -> None:
            self.is_away = False
            done(result, error)

        self.is_away = True
        self._thread.submit(timed, back)

    def roll_back(self) -> None:
        """Undo the open transaction, if there is one. Never raises."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has undone it by itself, or the next BEGIN fails and says why.
            return

    def close(self) -> None:
        """Block until the thread has ended, then close the connection."""
        self._thread.close()
        self.connection.close()


def execute(sql: str) -> Callable[[sqlite3.Connection], None]:
    """Work that is one statement without a result."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute(sql)

    return work


def answer(future: asyncio.Future[Result], result: object, error: Exception | None) -> None:
    """Pass a result on, if somebody still waits for it."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(cast("Result", result))  # it is what the work returned


async def within(timeout: float, future: asyncio.Future[Result]) -> Result:
    """The future's result; StoreUnavailable where it does not come in time."""
    late = unavailable("it did not answer in time")
    alarm = asyncio.get_running_loop().call_later(timeout, answer, future, None, late)
    try:
        return await future
    finally:
        alarm.cancel()
