"""The blocks of `async with`: a transaction, and a snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TypeVar

from adapters.state.sqlite.failures import unavailable
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.readers import ReaderPool
from adapters.state.sqlite.session import LIGHT_ROWS, Session
from adapters.state.sqlite.transaction import SqliteTransaction
from adapters.state.sqlite.writer import Turn, Writer
from core.ports.state import Scope

Result = TypeVar("Result")


class WritingUnit(AbstractAsyncContextManager[SqliteTransaction]):
    """A transaction. The first failure undoes it, and every later use says the same."""

    def __init__(self, writer: Writer, scope: Scope, options: SqliteOptions) -> None:
        self._writer = writer
        self._turn = Turn()
        self._session = Session(self, scope, writable=True)
        self._transaction = SqliteTransaction(self._session, options.now())
        self._alone = asyncio.Lock()

    async def run(self, work: Callable[[sqlite3.Connection], Result], rows: int) -> Result:
        """See session.Unit."""
        try:
            if self._is_ready(rows):
                return self._writer.bench.here(work)
            async with self._alone:  # reads that are awaited together go one after the other
                return await self._run_alone(work, rows)
        except asyncio.CancelledError:
            # Writes that came along are lost: nothing may be committed without them.
            self._writer.fail(self._turn, unavailable("a wait within it was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001 - raised again, as what it means
            raise self._failed(error) from None

    async def _run_alone(self, work: Callable[[sqlite3.Connection], Result], rows: int) -> Result:
        if not self._turn.is_open:
            if self._turn.failure is not None:
                raise self._turn.failure
            await self._writer.begin(self._turn)
        if self._is_ready(rows):
            return self._writer.bench.here(work)
        return await self._writer.away(self._turn, work)

    def _failed(self, error: Exception) -> Exception:
        self._writer.fail(self._turn, error)
        return self._turn.failure or error

    def _is_ready(self, rows: int) -> bool:
        """Whether the work can be done at once, here; the transaction is opened, if that can be."""
        turn, writer = self._turn, self._writer
        if turn.failure is not None:
            raise turn.failure
        is_open = turn.is_open or writer.begin_now(turn)
        return is_open and rows <= LIGHT_ROWS and not writer.bench.is_away

    async def __aenter__(self) -> SqliteTransaction:
        return self._transaction

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()
        if error is not None:
            self._writer.give_up(self._turn)
            return
        try:
            await self._session.flush()
            if self._alone.locked():  # by a read that whoever began it does not wait for
                async with self._alone:
                    await self._commit()
            else:
                await self._commit()
        except sqlite3.Error as failure:
            raise self._failed(failure) from None
        finally:
            del self._transaction, self._session  # which hold this block

    async def _commit(self) -> None:
        if self._turn.failure is not None:
            raise self._turn.failure
        if self._turn.is_open:
            await self._writer.commit(self._turn, self._session.rows_written)


class SnapshotBlock(AbstractAsyncContextManager[SqliteTransaction]):
    """A snapshot: takes a connection when it is entered."""

    def __init__(self, pool: ReaderPool, scope: Scope, options: SqliteOptions) -> None:
        self._pool = pool
        self._scope = scope
        self._options = options

    async def __aenter__(self) -> SqliteTransaction:
        self._unit = await self._pool.acquire()
        self._session = Session(self._unit, self._scope, writable=False)
        return SqliteTransaction(self._session, self._options.now())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()
        self._unit.end()
