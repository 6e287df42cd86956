"""What SQLite says went wrong, as the port's errors."""

from __future__ import annotations

import sqlite3

from adapters.state.failures import StoreFull
from core.ports.state import StoreConflict, StoreUnavailable

_CAUSES = {
    sqlite3.SQLITE_BUSY: "another process holds its lock",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock",
    sqlite3.SQLITE_FULL: "there is no room on its disk",
    sqlite3.SQLITE_IOERR: "its files cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "its file is damaged",
    sqlite3.SQLITE_NOTADB: "its file is not a database",
    sqlite3.SQLITE_READONLY: "its files may not be written",
    sqlite3.SQLITE_CANTOPEN: "its files cannot be opened",
    sqlite3.SQLITE_PERM: "its files may not be opened",
    sqlite3.SQLITE_PROTOCOL: "its lock could not be taken",
    sqlite3.SQLITE_NOMEM: "there is no memory",
    sqlite3.SQLITE_INTERRUPT: "it did not answer in time",
}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 0 where the driver itself complains."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_locked(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock that was asked for."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def unavailable(cause: str, *, outcome_known: bool = True) -> StoreUnavailable:
    """The error of a store that cannot be used now, for this cause."""
    full = cause == _CAUSES[sqlite3.SQLITE_FULL]
    error = (StoreFull if full else StoreUnavailable)(f"the store cannot be used: {cause}")
    error.outcome_known = outcome_known
    return error


def port_error(error: Exception) -> Exception:
    """What a statement's failure means to the caller. Errors of our own pass as they are."""
    if isinstance(error, sqlite3.IntegrityError):
        return StoreConflict("somebody else was first; read again")
    if isinstance(error, sqlite3.Error):
        cause = _CAUSES.get(primary_code(error))
        if cause is not None:
            return unavailable(cause)
    return error


def commit_error(error: Exception) -> StoreUnavailable:
    """What a failed commit means.

    Only a lock that was not given tells that nothing happened. After any other failure the
    commit's record may have reached the disk, where a restart would find it.
    """
    code = primary_code(error) if isinstance(error, sqlite3.Error) else 0
    return unavailable(
        _CAUSES.get(code, "the commit failed"), outcome_known=code == sqlite3.SQLITE_BUSY
    )
