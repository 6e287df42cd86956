"""Runs the migrations that a database lacks, in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from adapters.state.migrations import HEAD

_LOCK = 0x436F6C6F6E6E6164
"""Of PostgreSQL's advisory locks, the one of migrations."""

_LOCK_PATIENCE_S = 60
"""As long as a large store may take another process to migrate."""

SCRIPTS = Path(__file__).parent


def configuration(connection: Connection) -> Config:
    """Alembic's settings for this connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade_sqlite(path: Path, revision: str = HEAD) -> None:
    """Bring a SQLite file up to the revision, or leave it as it was."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), revision)


def upgrade_postgres(target: str, revision: str = HEAD) -> None:
    """Bring a PostgreSQL database up to the revision, or leave it as it was.

    `target` is what libpq connects with. Of several processes that come at once one migrates,
    and the others wait for it and find nothing left to do.
    """
    import psycopg

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(target), poolclass=NullPool
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        command.upgrade(configuration(connection), revision)


def _leave_transactions_to_us(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver would commit before each change of a table.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
