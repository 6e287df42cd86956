"""The state on SQLite.

state = await open_sqlite(SqliteOptions(Path("data/state.sqlite")))
async with state.transaction(TenantId("acme")) as tx: ...
await state.close()
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from adapters.state.sqlite.checkpoints import Checkpointer
from adapters.state.sqlite.connection import reading, writing
from adapters.state.sqlite.delivery import Delivery
from adapters.state.sqlite.opening import prepare
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.readers import Reader, ReaderPool
from adapters.state.sqlite.session import Session
from adapters.state.sqlite.transaction import SqliteTransaction
from adapters.state.sqlite.writer import Writer
from core.ports.state import Scope


class _WritingUnit(AbstractAsyncContextManager[SqliteTransaction]):
    def __init__(self, session: Session, transaction: SqliteTransaction) -> None:
        self._session = session
        self._transaction = transaction

    async def __aenter__(self) -> SqliteTransaction:
        return self._transaction

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._session.finish()
        else:
            self._session.give_up()


class _ReadingUnit(AbstractAsyncContextManager[SqliteTransaction]):
    def __init__(self, pool: ReaderPool, scope: Scope, options: SqliteOptions) -> None:
        self._pool = pool
        self._scope = scope
        self._options = options

    async def __aenter__(self) -> SqliteTransaction:
        self._reader = await self._pool.acquire()
        self._session = Session(
            self._reader, self._scope, self._options.statement_timeout, writable=False
        )
        return SqliteTransaction(self._session, self._options.now())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.give_up()
        self._pool.release(self._reader)


class SqliteState:
    """See core.ports.state.State. Belongs to the event loop that opened it."""

    def __init__(
        self,
        options: SqliteOptions,
        writer: Writer,
        readers: ReaderPool,
        checkpointer: Checkpointer,
    ) -> None:
        self._options = options
        self._writer = writer
        self._readers = readers
        self._checkpointer = checkpointer

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[SqliteTransaction]:
        """See State.transaction. The store is first reached by a read, or at the end."""
        session = Session(self._writer, scope, self._options.statement_timeout, writable=True)
        return _WritingUnit(session, SqliteTransaction(session, self._options.now()))

    def snapshot(self, scope: Scope) -> AbstractAsyncContextManager[SqliteTransaction]:
        """See State.snapshot. Its moment is that of its first read."""
        return _ReadingUnit(self._readers, scope, self._options)

    async def close(self) -> None:
        """See State.close."""
        self._writer.close()
        self._readers.close()
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        self._readers.join()
        self._checkpointer.close()
        self._checkpointer.join()
        self._writer.join()  # last, so that its close moves what the log still holds


async def open_sqlite(options: SqliteOptions) -> SqliteState:
    """Open the store, made or migrated if need be.

    Raises StoreUnusable, whose message says what to do, and StoreUnavailable.
    """
    await asyncio.to_thread(prepare, options)
    return await asyncio.to_thread(_start, options, asyncio.get_running_loop())


def _start(options: SqliteOptions, loop: asyncio.AbstractEventLoop) -> SqliteState:
    delivery = Delivery(loop)
    checkpointer = Checkpointer(options)
    writer = Writer(writing(options), options, delivery, checkpointer.note_commit)
    readers = [Reader(reading(options), options, delivery) for _ in range(options.readers)]
    return SqliteState(options, writer, ReaderPool(readers, options), checkpointer)
