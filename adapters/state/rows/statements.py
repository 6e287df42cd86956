"""SQL text that is put together once, when its module is imported, for each database.

A statement is written in SQLite's words, with these marks for what differs or depends:

- `{mine}`: the row is the scope's; the statement's first value is then the scope's tenant.
- `{id in ?2}`: the column is one of a list of texts, given as `Session.texts` encodes it.
- `{locked}`, `{free}`: the rows are held until the transaction ends; `{free}` leaves out those
  that somebody else holds.
- `{each ?2}` in FROM: such a list of texts, each of them a list in JSON, of which `{one 0}` is a
  value.
- `{array id}`: a column's values as JSON, in the order of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.identifiers import TenantId

_IN = re.compile(r"\{(\w+) in \?(\d+)\}")
_ARRAY = re.compile(r"\{array (\w+)\}")
_EACH = re.compile(r"\{each \?(\d+)\}")
_ONE = re.compile(r"\{one (\d+)\}")
_VALUE = re.compile(r"\?(\d+)")


@dataclass(frozen=True, slots=True)
class Scoped:
    """A statement for one tenant's rows, and the same for everybody's.

    Where it depends on the scope, the first value is the tenant (None for all).
    """

    one: str
    every: str

    def of(self, tenant: TenantId | None) -> str:
        """The text for this scope."""
        return self.every if tenant is None else self.one


class Statement:
    """A statement in the words of each database; `postgres_locking` for transactions that write.

    `locks`: it writes, or holds rows. `postgres_many` does the same for a list of rows at once,
    given as an array a column, where there is such a form. `rank`: see ranks; None where it has to
    stay where it was recorded.
    """

    __slots__ = ("locks", "postgres", "postgres_locking", "postgres_many", "rank", "sqlite")

    def __init__(self, text: str, many: str = "", *, rank: int | None = None) -> None:
        self.rank = rank
        self.postgres_many = many
        plain = text.replace("{locked}", "").replace("{free}", "")
        locking = text.replace("{locked}", "FOR UPDATE").replace("{free}", "FOR UPDATE SKIP LOCKED")
        self.locks = not text.startswith("SELECT") or plain != text
        self.sqlite = _sqlite(plain)
        self.postgres = _postgres(plain)
        self.postgres_locking = _postgres(locking)


def _sqlite(text: str) -> Scoped:
    text = _IN.sub(r"\1 IN (SELECT value FROM json_each(?\2))", text)
    text = _EACH.sub(r"json_each(?\1) AS one", text)
    text = _ONE.sub(r"one.value ->> \1", text)
    text = _ARRAY.sub(r"json_group_array(\1)", text).strip()
    return Scoped(text.replace("{mine}", "tenant = ?1"), text.replace("{mine}", "?1 IS NULL"))


def _postgres(text: str) -> Scoped:
    text = _IN.sub(r"\1 = ANY(?\2::text[])", text)
    text = _EACH.sub(r"unnest(?\1::text[]) AS one (value)", text)
    text = _ONE.sub(r"(one.value::json ->> \1)", text)
    text = _VALUE.sub(r"$\1", _ARRAY.sub(r"coalesce(json_agg(\1), '[]')::text", text)).strip()
    return Scoped(text.replace("{mine}", "tenant = $1"), text.replace("{mine}", "$1::text IS NULL"))


def select(columns: Sequence[str], rest: str) -> Statement:
    """The columns of the rows that `rest` (from FROM on) describes."""
    return Statement(f"SELECT {', '.join(columns)} {rest}")


def insert(
    table: str,
    columns: Sequence[str],
    otherwise: str = "",
    types: Sequence[str] = (),
    *,
    rank: int | None = None,
) -> Statement:
    """A statement that inserts a row given in this order of columns.

    With the columns' `types` it has a form for many rows.

    `otherwise` is the clause for a row that is there already; `{replacing}` in it stands for
    taking over all of the new row's values.
    """
    marks = ", ".join(f"?{number}" for number in range(1, len(columns) + 1))
    replacing = ", ".join(f"{column} = excluded.{column}" for column in columns)
    clause = otherwise.replace("{replacing}", replacing)
    start = f"INSERT INTO {table} ({', '.join(columns)})"
    arrays = ", ".join(f"${number}::{type}[]" for number, type in enumerate(types, 1))
    many = f"{start} SELECT * FROM unnest({arrays}) {clause}" if types else ""  # noqa: S608
    return Statement(f"{start} VALUES ({marks}) {clause}", many, rank=rank)


def update(
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    leave: Sequence[str] = (),
    *,
    rank: int | None = None,
) -> Statement:
    """A statement that replaces the row with this key, but for what it is to leave.

    It takes a row in this order of columns.
    """
    places = {column: f"{column} = ?{number}" for number, column in enumerate(columns, 1)}
    changes = ", ".join(places[name] for name in columns if name not in (*key, *leave))
    condition = " AND ".join(places[column] for column in key)
    return Statement(f"UPDATE {table} SET {changes} WHERE {condition}", rank=rank)  # noqa: S608 - our names
