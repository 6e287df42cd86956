"""What the repositories of a transaction or snapshot stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from adapters.state.rows.statements import Statement
from core.identifiers import TenantId

Result = TypeVar("Result")
RowOf = TypeVar("RowOf")

Value = str | bytes | int | float | None
Row = Sequence[Value]

MANY_ROWS = 1_000
"""Said of work whose size is not known beforehand and may be large."""


class Session(Protocol):
    """One transaction or snapshot. Writes are recorded, and done with the next read or the end.

    `rows` says about how many rows a call touches: a store may choose by it where the work is
    done. A session that is closed, or a snapshot's that is written through, is a RuntimeError.
    """

    @property
    def tenant(self) -> TenantId | None:
        """The scope's tenant; None where it is everybody."""

    def admit(self, tenant: TenantId) -> None:
        """Refuse to write another tenant's row: ValueError."""

    def own_tenant(self) -> TenantId:
        """The scope's tenant; ValueError where a method cannot do without one."""

    def texts(self, values: Iterable[str]) -> str:
        """A list of texts as one value of a statement."""

    def write(self, statement: Statement, *rows: Row) -> None:
        """Record a statement, to be run once for each row of values."""

    def write_for(self, tenant: TenantId, statement: Statement, *rows: Row) -> None:
        """The same of rows of this tenant; another's than the scope's is refused: ValueError."""

    def write_scoped(self, statement: Statement, *values: Value, rows: int = 1) -> None:
        """Record a statement that finds the scope's rows by itself."""

    async def all(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,
    ) -> list[Result]:
        """Every row, decoded; the scope's tenant goes before the values."""

    async def changed(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,
    ) -> list[Result]:
        """As `all`, for a statement that returns the rows that it has written."""

    async def one(
        self, decode: Callable[[RowOf], Result], statement: Statement, *values: Value
    ) -> Result | None:
        """The first row, decoded, if there is one."""
