"""Copies a SQLite store into an empty PostgreSQL one, row by row: their rows are the same.

What is derived (the indexes) or lives for seconds (rows of readers) is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, Table, create_engine, insert, select
from sqlalchemy.exc import DataError
from sqlalchemy.pool import NullPool

from adapters.state import tables
from adapters.state.failures import StoreUnusable

_ROWS_AT_ONCE = 500
_LEFT = frozenset({tables.reader.name})
_FOR_ALL_TENANTS = "SELECT set_config('colonnade.every_tenant', 'on', true)"

Told = Callable[[str, int], None]
"""Told of a table's name and how many of its rows are copied so far."""


def copy_store(source: Path, target: str, told: Told) -> Mapping[str, int]:
    """Copy all of it, or nothing; how many rows of each table. Blocks.

    Both stores stand at this program's schema, and nobody writes to the source meanwhile.
    `target` is what libpq connects with. Raises StoreUnusable for a target that is not empty,
    and for a text that PostgreSQL cannot keep.
    """
    with (
        _sqlite(source).connect() as old,
        _postgres(target).begin() as new,
    ):
        new.exec_driver_sql(_FOR_ALL_TENANTS)
        wanted = [table for table in tables.metadata.sorted_tables if table.name not in _LEFT]
        for table in wanted:
            if new.execute(select(table).limit(1)).first() is not None:
                raise StoreUnusable(
                    f"the store to copy into is not empty: its table {table.name} has rows; "
                    "name a new database in the URL"
                )
        return {table.name: _copy(table, old, new, told) for table in wanted}


def _copy(table: Table, old: Connection, new: Connection, told: Told) -> int:
    count = 0
    rows = old.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(table))
    try:
        for batch in rows.mappings().partitions():
            new.execute(insert(table), [dict(row) for row in batch])
            count += len(batch)
            told(table.name, count)
    except (DataError, ValueError) as error:
        raise StoreUnusable(
            f"a row of the table {table.name} cannot be kept by PostgreSQL: a text in it holds "
            "the character U+0000"
        ) from error
    return count


def _sqlite(source: Path) -> Engine:
    return create_engine(f"sqlite:///{source}", poolclass=NullPool)


def _postgres(target: str) -> Engine:
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(target), poolclass=NullPool
    )
