"""What a transaction's repositories stand on: recorded writes, and reads that bring them along."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from adapters.state.rows.ranks import Ranked
from adapters.state.rows.session import Result, Row, RowOf, Value
from adapters.state.rows.statements import Statement
from adapters.state.rows.tenancy import Tenancy
from core.identifiers import TenantId
from core.ports.state import Scope

LIGHT_ROWS = 64
"""Up to so many rows are read or written on the event loop: at some microseconds each, that is
less than what a thread's hop costs while the loop is busy. More go to the connection's thread."""


_Write = tuple[str, list[Row]]
"""A statement, and the rows of values that it is run with."""


class Unit(Protocol):
    """A turn at a connection."""

    async def run(self, work: Callable[[sqlite3.Connection], Result], rows: int) -> Result:
        """Do the work, which touches about so many rows, here or on the connection's thread."""


class Session(Tenancy):
    """One transaction or snapshot. Writes are recorded, and done with the next read or the end."""

    __slots__ = (
        "_closed",
        "_last",
        "_more_rows",
        "_unit",
        "_writable",
        "_writes",
        "rows_written",
    )

    def __init__(self, unit: Unit, scope: Scope, *, writable: bool) -> None:
        super().__init__(scope)
        self.rows_written = 0
        self._unit = unit
        self._writable = writable
        self._writes: Ranked[_Write] = Ranked(self._group)
        self._more_rows = 0
        """That recorded statements touch beyond those that they were given."""
        self._last: tuple[list[_Write], int] | None = None
        """What was still recorded when it was closed."""
        self._closed = False

    def texts(self, values: Iterable[str]) -> str:
        """A list of texts as one value of a statement."""
        return json.dumps(list(values))

    def write(self, statement: Statement, *rows: Row) -> None:
        """See rows.session.Session."""
        _, recorded = self._writes[statement]
        recorded += rows

    def write_for(self, tenant: TenantId, statement: Statement, *rows: Row) -> None:
        """See rows.session.Session."""
        if self.tenant is not None:
            self.admit(tenant)
        _, recorded = self._writes[statement]
        recorded += rows

    def write_scoped(self, statement: Statement, *values: Value, rows: int = 1) -> None:
        """Record a statement that finds the scope's rows by itself, about so many."""
        self._writes[statement][1].append((self.tenant, *values))
        self._more_rows += rows - 1

    async def read(self, query: Callable[[sqlite3.Connection], Result], rows: int = 1) -> Result:
        """What `query` returns after all writes so far; it reads about so many rows."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        if not self._writes:
            return await self._unit.run(query, rows)
        writes, recorded = self._take()

        def work(connection: sqlite3.Connection) -> Result:
            _write(connection, writes)
            return query(connection)

        return await self._unit.run(work, rows + recorded)

    async def all(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,
    ) -> list[Result]:
        """Every row, decoded; the scope's tenant goes before the values."""
        sql, bound = statement.sqlite.of(self.tenant), (self.tenant, *values)
        return await self.read(lambda c: [decode(row) for row in c.execute(sql, bound)], rows)

    async def changed(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,
    ) -> list[Result]:
        """As `all`, for a statement that returns the rows that it has written."""
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        self.rows_written += rows
        return await self.all(decode, statement, *values, rows=rows)

    async def met(self, statement: Statement, rows: Sequence[Row]) -> list[bool]:
        """Run a statement that may change a row once for each row of values: whether it did.

        The scope's tenant goes before the values.
        """
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        self.rows_written += len(rows)
        sql, tenant = statement.sqlite.of(self.tenant), self.tenant
        return await self.read(
            lambda c: [c.execute(sql, (tenant, *row)).rowcount > 0 for row in rows], len(rows)
        )

    async def one(
        self, decode: Callable[[RowOf], Result], statement: Statement, *values: Value
    ) -> Result | None:
        """The first row, decoded, if there is one."""
        rows = await self.all(decode, statement, *values)
        return rows[0] if rows else None

    def close(self) -> None:
        """Nothing may be read or written through this session any more."""
        if self._writes:
            self._last = self._take()
        self._closed = True
        self._writes = _NO_MORE

    async def flush(self) -> None:
        """Do the writes that were still recorded when it was closed, if any."""
        if self._last is not None:
            writes, recorded = self._last
            await self._unit.run(lambda connection: _write(connection, writes), recorded)

    def _group(self, statement: Statement) -> _Write:
        """Room for the rows of a statement that was not recorded since the last read."""
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        return statement.sqlite.of(self.tenant), []

    def _take(self) -> tuple[list[_Write], int]:
        writes, recorded = self._writes.take(), self._more_rows
        for _, rows in writes:
            recorded += len(rows)
        self._more_rows = 0
        self.rows_written += recorded
        return writes, recorded


def _over(_: Statement) -> _Write:
    raise RuntimeError("the transaction is over")


_NO_MORE: Ranked[_Write] = Ranked(_over)
"""What a closed session records to: it holds nothing, and so not the session itself."""


def _write(connection: sqlite3.Connection, writes: Sequence[_Write]) -> None:
    for sql, rows in writes:
        if len(rows) == 1:
            connection.execute(sql, rows[0])
        else:
            connection.executemany(sql, rows)
