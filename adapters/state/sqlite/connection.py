"""Connections to one store's file, set up for their work."""

from __future__ import annotations

import sqlite3
import time

from adapters.state.sqlite.options import SqliteOptions
from core.identifiers import Seconds

_OPCODES_BETWEEN_CHECKS = 20_000
"""About a millisecond of SQLite's virtual machine."""

_READER_PATIENCE_S = 0.1
"""Readers wait for nobody, but for another process that opens or closes the file just now."""

_OPENING_PATIENCE_S = 10.0


def connect(options: SqliteOptions, patience: float = _OPENING_PATIENCE_S) -> sqlite3.Connection:
    """A connection that begins and ends transactions only when told to, from any thread.

    It waits `patience` seconds for locks.
    """
    connection = sqlite3.connect(
        options.path,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
    )
    for pragma in (
        f"synchronous = {options.durability.value}",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "wal_autocheckpoint = 0",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def writing(options: SqliteOptions) -> sqlite3.Connection:
    """The connection that writes. It does not wait for locks: whoever uses it does."""
    connection = connect(options, 0.0)
    connection.execute("PRAGMA cache_size = -4096")
    return connection


def reading(options: SqliteOptions) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = connect(options, _READER_PATIENCE_S)
    connection.execute("PRAGMA query_only = ON")
    return connection


class StatementClock:
    """Interrupts a connection's statements that run past their time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._deadline = float("inf")
        connection.set_progress_handler(self._is_late, _OPCODES_BETWEEN_CHECKS)

    def start(self, limit: Seconds) -> None:
        """What begins now must be done within the limit."""
        self._deadline = time.monotonic() + limit

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline
