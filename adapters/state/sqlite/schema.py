"""The tables as SQLite keeps them after all migrations, for a store that begins anew.

`schema.sql` is what `dump` returns: a first start runs it without importing Alembic. After a new
migration write it again: `python -m adapters.state.sqlite.schema`.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from adapters.state.migrations import HEAD, VERSION_TABLE

SCHEMA = Path(__file__).with_name("schema.sql")


def dump() -> str:
    """The statements that make an empty database what the migrations make it."""
    from adapters.state.migrations.upgrade import upgrade_sqlite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.sqlite"
        upgrade_sqlite(path)
        connection = sqlite3.connect(path)
        statements = [row[0] for row in connection.execute(_STATEMENTS)]
        connection.close()
    lines = "\n".join(line.rstrip() for sql in statements for line in f"{sql};".splitlines())
    return f"{lines}\nINSERT INTO {VERSION_TABLE} VALUES ('{HEAD}');\n"


_STATEMENTS = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name"

if __name__ == "__main__":
    SCHEMA.write_text(dump())
