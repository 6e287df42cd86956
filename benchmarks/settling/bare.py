"""The same rows on the drivers themselves: no reads, no locks, no decisions, encoded beforehand.

`group` turns share one transaction; of each kind of statement all rows go to the driver at once.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from adapters.state.encoding.conversations import MESSAGE, message_row
from adapters.state.encoding.spending import LEDGER, ledger_row
from adapters.state.encoding.turns import (
    EVENT,
    IDEMPOTENCY,
    TURN,
    event_rows,
    idempotency_row,
    turn_row,
)
from adapters.state.rows.statements import insert, update
from benchmarks.settling.rows import APPENDS, TENANT, Plan
from core.turns.rows import Turn

Rows = list[tuple[Any, ...]]
_MOVED = ("next_seq", "lease_until", "released")
_ENDED = ("state", "reason", "ended_at", "sweep")


def _change(columns: Sequence[str]) -> str:
    return update("turn", (*columns, "id"), ("id",)).sqlite.every


_INSERT = {
    "idempotency": insert("idempotency", IDEMPOTENCY).sqlite.every,
    "turn": insert("turn", TURN).sqlite.every,
    "message": insert("message", ("tenant", *MESSAGE)).sqlite.every,
    "event": insert("event", EVENT).sqlite.every,
    "ledger": insert("ledger", LEDGER).sqlite.every,
}


@dataclass(frozen=True)
class Group:
    """Statements with their rows, in order, that go into one transaction."""

    statements: list[tuple[str, Rows]]


def _some(turn: Turn, columns: Sequence[str]) -> tuple[Any, ...]:
    row = dict(zip(TURN, turn_row(turn), strict=True))
    return (*(row[name] for name in columns), turn.id)


def grouped(plans: Sequence[Plan], group: int) -> Iterator[Group]:
    """The plans' rows, `group` turns to a transaction."""
    for at in range(0, len(plans), group):
        yield _group(plans[at : at + group])


def _group(plans: Sequence[Plan]) -> Group:
    statements: list[tuple[str, Rows]] = [
        (_INSERT["idempotency"], [idempotency_row(plan.record) for plan in plans]),
        (_INSERT["turn"], [turn_row(plan.turn) for plan in plans]),
        (_INSERT["message"], [(TENANT, *message_row(plan.question)) for plan in plans]),
    ]
    for n in range(APPENDS):
        events: Rows = [
            row for plan in plans for row in event_rows(plan.turn, plan.events[n : n + 1])
        ]
        statements.append((_INSERT["event"], events))
        moved = [_some(plan.after(n + 1), _MOVED) for plan in plans]
        statements.append((_change(_MOVED), moved))
    statements += [
        (_INSERT["message"], [(TENANT, *message_row(plan.answer)) for plan in plans]),
        (_INSERT["ledger"], [ledger_row(plan.line) for plan in plans]),
        (_change(_ENDED), [_some(plan.settled, _ENDED) for plan in plans]),
    ]
    return Group(statements)


def in_postgres_words(group: Group) -> Group:
    """The same for psycopg."""
    return Group([(re.sub(r"\?\d+", "%s", sql), rows) for sql, rows in group.statements])


def write_sqlite(connection: sqlite3.Connection, group: Group) -> None:
    """One transaction on sqlite3."""
    connection.execute("BEGIN IMMEDIATE")
    for sql, rows in group.statements:
        connection.executemany(sql, rows)
    connection.execute("COMMIT")


def write_postgres(connection: psycopg.Connection, group: Group) -> None:
    """One transaction on psycopg, in its pipeline mode."""
    with connection.transaction(), connection.pipeline(), connection.cursor() as cursor:
        for sql, rows in group.statements:
            cursor.executemany(sql.encode(), rows)
