"""A process that starts while another writes finds the store sound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.state.sqlite import opening
from adapters.state.sqlite.connection import connect
from adapters.state.sqlite.options import SqliteOptions


def test_pages_that_are_in_the_log_alone_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another commits after the checkpoint: its pages are counted, and not in the file yet."""
    options = SqliteOptions(tmp_path / "state.sqlite")
    opening.prepare(options)
    statements: list[str] = []
    with closing(connect(options)) as other:
        other.execute("CREATE TABLE filler (body BLOB)")

        def before(statement: str) -> None:
            """Told of each statement before it is carried out."""
            if statements and "wal_checkpoint" in statements[-1]:
                other.execute("INSERT INTO filler VALUES (zeroblob(100000))")
            statements.append(statement)

        def opened(chosen: SqliteOptions) -> sqlite3.Connection:
            connection = connect(chosen)
            connection.set_trace_callback(before)
            return connection

        monkeypatch.setattr(opening, "connect", opened)
        opening.prepare(options)
        assert other.execute("SELECT count(*) FROM filler").fetchone() == (1,)
