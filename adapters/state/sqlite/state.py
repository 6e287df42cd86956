"""The state on SQLite.

state = await open_sqlite(SqliteOptions(Path("data/state.sqlite")))
async with state.transaction(TenantId("acme")) as tx: ...
await state.close()
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from adapters.state.sqlite.back_thread import BackThread
from adapters.state.sqlite.checkpoints import Checkpointer
from adapters.state.sqlite.connection import reading, writing
from adapters.state.sqlite.opening import prepare
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.readers import ReaderPool
from adapters.state.sqlite.transaction import SqliteTransaction
from adapters.state.sqlite.units import SnapshotBlock, WritingUnit
from adapters.state.sqlite.workbench import Workbench
from adapters.state.sqlite.writer import Writer
from core.ports.state import Scope


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
        return WritingUnit(self._writer, scope, self._options)

    def snapshot(self, scope: Scope) -> AbstractAsyncContextManager[SqliteTransaction]:
        """See State.snapshot. Its moment is that of its first read."""
        return SnapshotBlock(self._readers, scope, self._options)

    async def close(self) -> None:
        """See State.close."""
        await self._readers.close()
        await asyncio.to_thread(self._checkpointer.close)
        await self._writer.close()  # last: its close moves what the log still holds


async def open_sqlite(options: SqliteOptions) -> SqliteState:
    """Open the store, made or migrated if need be.

    Raises StoreUnusable, whose message says what to do, and StoreUnavailable.
    """
    await asyncio.to_thread(prepare, options)
    loop = asyncio.get_running_loop()

    async def bench(connect: Callable[[SqliteOptions], sqlite3.Connection], name: str) -> Workbench:
        connection = await asyncio.to_thread(connect, options)
        return Workbench(connection, options, BackThread(loop, name))

    writer = Writer(await bench(writing, "sqlite-writer"), options)
    names = [f"sqlite-reader-{number}" for number in range(1, options.readers + 1)]
    readers = ReaderPool([await bench(reading, name) for name in names], options)
    checkpointer = await asyncio.to_thread(Checkpointer, options, writer.log_is_large)
    writer.after_commit(checkpointer.note_commit)
    return SqliteState(options, writer, readers, checkpointer)
