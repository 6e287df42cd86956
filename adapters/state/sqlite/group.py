"""The transactions that share one commit."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress

from adapters.state.sqlite.failures import commit_error, is_locked, unavailable
from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.session import LIGHT_ROWS
from adapters.state.sqlite.workbench import Workbench, answer, execute

_LOCK_SHARE = 0.75
"""How much of a statement's time may go by waiting for another process's lock."""

_LOCK_POLL_S = 0.002

_SLOW_COMMIT_S = 0.002
"""A commit that kept the event loop for so long sends the next ones to the thread."""

_SLOW_FOR_S = 1.0

_BEGIN, _SAVEPOINT, _RELEASE = map(execute, ("BEGIN IMMEDIATE", "SAVEPOINT one", "RELEASE one"))


class Group:
    """Transactions that have ended in the open outer one, and those who wait for its commit."""

    def __init__(
        self,
        bench: Workbench,
        options: SqliteOptions,
        go_on: Callable[[], None],
    ) -> None:
        self._bench = bench
        self._options = options
        self.committed: Callable[[], None] | None = None
        """Called after each commit."""
        self._go_on = go_on
        self._loop = asyncio.get_running_loop()
        self.waiting: list[asyncio.Future[None]] = []
        """A transaction each that waits for the commit."""
        self._rows = 0
        self._ripe_at = 0.0
        self._slow_until = 0.0

    @property
    def is_ripe(self) -> bool:
        """Whether it is large or old enough to be committed though others could join."""
        size = len(self.waiting)
        full = size >= self._options.group_size
        return size > 0 and (full or time.monotonic() >= self._ripe_at)

    def begin(self, *, is_savepoint: bool) -> None:
        """Open a transaction, as the outer one or within it; sqlite3.OperationalError if locked."""
        if is_savepoint:
            self._bench.here(_SAVEPOINT)
            return
        self._ripe_at = time.monotonic() + self._options.group_time
        self._rows = 0
        self._bench.here(_BEGIN)

    def begin_patiently(self, connection: sqlite3.Connection) -> None:
        """On the thread: wait for another process to give the lock back."""
        patience = time.monotonic() + self._options.statement_timeout * _LOCK_SHARE
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_locked(error) or time.monotonic() > patience:
                    raise
            time.sleep(_LOCK_POLL_S)

    def join(self, rows: int, *, is_savepoint: bool) -> asyncio.Future[None]:
        """The transaction, which wrote so many rows, has ended: what it waits for."""
        if is_savepoint:
            self._bench.here(_RELEASE)
        self._rows += rows
        future: asyncio.Future[None] = self._loop.create_future()
        self.waiting.append(future)
        return future

    def undo(self, *, is_savepoint: bool) -> None:
        """Take one transaction back; where SQLite has taken the outer one back, all fail."""
        connection = self._bench.connection
        if self.waiting and connection.in_transaction:
            with suppress(sqlite3.Error):  # else all of it goes
                if is_savepoint:
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
                return
        self._bench.roll_back()
        self._tell_all(self._taken(), lambda: unavailable("an error undid it with its neighbours"))

    def commit(self) -> None:
        """Commit, here or on the thread, tell everybody, and go on."""
        group = self._taken()
        if self._is_quick:
            self._commit_here(group)
            return
        alarm = self._loop.call_later(self._options.statement_timeout, self._tell_late, group)

        def back(_: object, error: Exception | None) -> None:
            alarm.cancel()
            self._finish(group, error)

        self._bench.away(self._commit_or_undo, self._options.statement_timeout, back)

    @property
    def _is_quick(self) -> bool:
        """Whether the commit is some writes to memory: no wait for the disk, few pages."""
        few = self._rows <= LIGHT_ROWS
        return (
            few
            and self._options.durability is Durability.PROCESS
            and time.monotonic() >= self._slow_until
        )

    def _commit_here(self, group: list[asyncio.Future[None]]) -> None:
        began = time.monotonic()
        failure: Exception | None = None
        try:
            self._bench.here(self._commit_or_undo)
        except sqlite3.Error as error:
            failure = error
        if time.monotonic() - began > _SLOW_COMMIT_S:
            self._slow_until = time.monotonic() + _SLOW_FOR_S
        self._finish(group, failure)

    def _commit_or_undo(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error:
            self._bench.roll_back()
            raise

    def _finish(self, group: list[asyncio.Future[None]], error: Exception | None) -> None:
        self._tell_all(group, None if error is None else lambda: commit_error(error))
        if error is None and self.committed is not None:
            self.committed()
        self._go_on()

    def _taken(self) -> list[asyncio.Future[None]]:
        group, self.waiting = self.waiting, []
        return group

    def _tell_late(self, group: list[asyncio.Future[None]]) -> None:
        late = "it did not answer in time"
        self._tell_all(group, lambda: unavailable(late, outcome_known=False))

    def _tell_all(
        self, group: list[asyncio.Future[None]], failure: Callable[[], Exception] | None
    ) -> None:
        for future in group:
            answer(future, None, failure() if failure else None)
