"""SQL text that is put together once, when its module is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.identifiers import TenantId


@dataclass(frozen=True, slots=True)
class Scoped:
    """A statement for one tenant's rows, and the same for everybody's.

    In both, the first value is the tenant (None for all).
    """

    one: str
    every: str

    def of(self, tenant: TenantId | None) -> str:
        """The text for this scope."""
        return self.every if tenant is None else self.one


def scoped(sql: str) -> Scoped:
    """`{mine}` stands where the row must be the scope's."""
    return Scoped(sql.replace("{mine}", "tenant = ?1"), sql.replace("{mine}", "?1 IS NULL"))


def select(columns: Sequence[str], rest: str) -> Scoped:
    """The columns of the rows that `rest` (from FROM on) describes; `{mine}` as in `scoped`."""
    return scoped(f"SELECT {', '.join(columns)} {rest}")


def insert(table: str, columns: Sequence[str], otherwise: str = "") -> str:
    """A statement that inserts a row given in this order of columns.

    `otherwise` is the clause for a row that is there already; `{replacing}` in it stands for
    taking over all of the new row's values.
    """
    marks = ", ".join(f"?{number}" for number in range(1, len(columns) + 1))
    replacing = ", ".join(f"{column} = excluded.{column}" for column in columns)
    clause = otherwise.replace("{replacing}", replacing)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {clause}".strip()  # noqa: S608 - our names


def update(
    table: str, columns: Sequence[str], key: Sequence[str], leave: Sequence[str] = ()
) -> str:
    """A statement that replaces the row with this key, but for what it is to leave.

    It takes a row in this order of columns.
    """
    places = {column: f"{column} = ?{number}" for number, column in enumerate(columns, 1)}
    changes = ", ".join(places[name] for name in columns if name not in (*key, *leave))
    condition = " AND ".join(places[column] for column in key)
    return f"UPDATE {table} SET {changes} WHERE {condition}"  # noqa: S608 - our names
