"""What happens before a store is used: it is made, migrated, or refused with a reason."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from adapters.state.failures import StoreUnusable
from adapters.state.migrations import HEAD, REVISIONS, VERSION_TABLE
from adapters.state.sqlite.connection import connect
from adapters.state.sqlite.failures import port_error
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.schema import SCHEMA
from core.ports.state import StoreUnavailable

_LOCK_PATIENCE_S = 60.0
"""As long as a large store may take another process to migrate."""


def prepare(options: SqliteOptions) -> None:
    """Leave a store that this program can use, whatever was there. Blocks.

    Raises StoreUnusable for a file that is damaged, somebody else's, or a newer program's, and
    StoreUnavailable where the file cannot be had now.
    """
    path = options.path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with _alone(path):
            _prepare_alone(options)
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise _refusal(path, error) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock that lets one process at a time make or migrate the store."""
    lock = os.open(path.with_name(f"{path.name}.opening"), os.O_RDWR | os.O_CREAT, 0o600)
    patience = time.monotonic() + _LOCK_PATIENCE_S
    try:
        while not _locked(lock):
            if time.monotonic() > patience:
                raise StoreUnusable(f"another process has been opening {path} for a minute")
            time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _prepare_alone(options: SqliteOptions) -> None:
    with closing(connect(options)) as connection:
        revision = _revision(connection, options.path)
        connection.execute("PRAGMA journal_mode = WAL")
        if revision is None:
            connection.executescript(f"BEGIN IMMEDIATE;\n{SCHEMA.read_text()}COMMIT;")
        _require_whole(connection, options.path)
        if revision is not None and revision != HEAD:
            _copy(connection, _copy_path(options.path))
    if revision is not None and revision != HEAD:
        _migrate(options.path)


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The migration that the store stands at; None for an empty file."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not names:
        return None
    if VERSION_TABLE not in names:
        raise StoreUnusable(f"{path} is a database, but not one of Colonnade's: {_ELSEWHERE}")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision: str = row[0] if row else ""
    if revision not in REVISIONS:
        raise StoreUnusable(
            f"{path} was written by a newer Colonnade (its schema is {revision!r}, this program "
            f"knows up to {HEAD!r}): start the newer program, or restore an older copy"
        )
    return revision


def _require_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Tell a file that was cut short before anything is built on it.

    What another process has committed since the checkpoint is in its log alone, and counts as
    pages: it works with the file, and would have noticed.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        log = path.with_name(f"{path.name}-wal")
        if not log.exists() or log.stat().st_size == 0:
            _require_pages(connection, path)
    finally:
        connection.execute("ROLLBACK")


def _require_pages(connection: sqlite3.Connection, path: Path) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size < pages * size:
        raise StoreUnusable(f"{path} is damaged (it was cut short): {_RESTORE}")


def _migrate(path: Path) -> None:
    from adapters.state.migrations.upgrade import upgrade_sqlite

    try:
        upgrade_sqlite(path)
    except Exception as error:
        raise StoreUnusable(
            f"{path} could not be brought to this program's schema and is as it was; "
            f"a copy is {_copy_path(path)}"
        ) from error


def _copy_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-before-{HEAD}{path.suffix}")


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """A copy beside the store, whole or not at all, for the owner's eyes only."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(partial)) as copy:
        connection.backup(copy)
    partial.replace(target)


def _refusal(path: Path, error: sqlite3.DatabaseError) -> StoreUnavailable:
    meant = port_error(error)
    if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreUnusable(f"{path} is damaged or not a database: {_RESTORE}")
    if isinstance(meant, StoreUnavailable):
        return meant
    return StoreUnusable(f"{path} cannot be opened: {error}")


_RESTORE = "restore a copy of it, or move it away to begin with an empty store"
_ELSEWHERE = "name another path in the settings, or move it away"
