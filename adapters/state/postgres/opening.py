"""Leaves a database that this program can use, whatever was there."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from adapters.state.failures import StoreUnusable
from adapters.state.migrations import HEAD, REVISIONS, VERSION_TABLE
from adapters.state.postgres.failures import connection_error
from core.identifiers import Seconds

_PAUSE_S = 0.1
_IS_UNBOUND = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"

Connection = psycopg.Connection[tuple[Any, ...]]


def prepare(target: str, patience: Seconds) -> None:
    """Check the role, and make or migrate the tables. Blocks.

    `target` is what libpq connects with; a server that is not there yet is waited for with
    `patience`. Raises StoreUnusable for a role that row-level security does not bind, and for a
    database that is somebody else's or a newer program's; else StoreUnavailable.
    """
    try:
        with _connection(target, patience) as connection:
            _require_walls(connection)
            is_new = _revision(connection) != HEAD
        if is_new:
            _migrate(target)
    except psycopg.Error as error:
        raise connection_error(error) from None


def _connection(target: str, patience: Seconds) -> Connection:
    deadline = time.monotonic() + patience
    while True:
        try:
            return psycopg.connect(target, autocommit=True)
        except psycopg.OperationalError as error:
            away = connection_error(error)
            if isinstance(away, StoreUnusable) or time.monotonic() > deadline:
                raise away from None
            time.sleep(_PAUSE_S)


def _require_walls(connection: Connection) -> None:
    found = connection.execute(_IS_UNBOUND).fetchone()
    if found is None or found[0]:
        raise StoreUnusable(
            "the role in the store's URL is a superuser, or may bypass row-level security, which "
            "keeps tenants apart: create a role that may not, let it own the database, and name "
            "it in the URL (CREATE ROLE colonnade LOGIN PASSWORD '...'; "
            "CREATE DATABASE colonnade OWNER colonnade)"
        )


def _revision(connection: Connection) -> str | None:
    """The migration that the store stands at; None for a new one."""
    names = {name for (name,) in connection.execute(_TABLES)}
    if VERSION_TABLE not in names:
        if "turn" in names and "conversation" in names:
            raise StoreUnusable(
                "the database has tables of these names that are not Colonnade's: name another "
                "database in the URL, or another schema in its search_path"
            )
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision: str | None = row[0] if row else None
    if revision is not None and revision not in REVISIONS:
        raise StoreUnusable(
            f"the database was written by a newer Colonnade (its schema is {revision!r}, this "
            f"program knows up to {HEAD!r}): start the newer program, or restore an older copy"
        )
    return revision


def _migrate(target: str) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from adapters.state.migrations.upgrade import upgrade_postgres

    try:
        upgrade_postgres(target)
    except SQLAlchemyError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.OperationalError):
            raise connection_error(cause) from None
        raise StoreUnusable(
            "the database could not be brought to this program's schema and is as it was"
        ) from error
