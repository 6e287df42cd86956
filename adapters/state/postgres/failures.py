"""What PostgreSQL says went wrong, as the port's errors."""

from __future__ import annotations

import psycopg
from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from adapters.state.failures import StoreFull, StoreUnusable
from core.ports.state import StoreConflict, StoreUnavailable

PREFIX = "the store cannot be used: "
_DISK_FULL = "53100"
_SERIALIZATION = "40001"
_DEADLOCK = "40P01"
_READ_ONLY = "25006"
_INTEGRITY = "23"

_CAUSES = {
    _SERIALIZATION: "others changed the same rows at the same time",
    _DEADLOCK: "others wait for it in a circle",
    _DISK_FULL: "there is no room on its disk",
    _READ_ONLY: "it may only be read from, as after a failover",
    "53200": "there is no memory",
    "53300": "it has too many connections",
    "55P03": "a lock was not given in time",
    "57014": "it did not answer in time",
    "57P01": "it is being stopped",
    "57P02": "it crashed",
    "57P03": "it is starting or stopping",
    "57P05": "it closed an idle session",
    "25P03": "the transaction stood still for too long",
    "25P04": "the transaction took too long",
    "58030": "its files cannot be read or written",
}
_CLASSES = {"08": "the connection was lost", "53": "it has no room left", "58": "its system failed"}


class Undecided(StoreUnavailable):
    """The transaction was picked to be undone so that others could go on: it may be tried anew."""


class BatchFailed(Exception):
    """The batch did not go through: `error` says why, for the caller.

    `answered` tells whether the server said so itself; else what was sent may have been done.
    """

    def __init__(self, error: Exception, *, answered: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.answered = answered


def unavailable(cause: str, *, outcome_known: bool = True) -> StoreUnavailable:
    """The error of a store that cannot be used now, for this cause."""
    error = StoreUnavailable(PREFIX + cause)
    error.outcome_known = outcome_known
    return error


def code_of(result: PGresult) -> str:
    """The SQLSTATE of a failed statement's result."""
    code = result.error_field(DiagnosticField.SQLSTATE)
    return code.decode() if code else ""


def ends_session(result: PGresult) -> bool:
    """Whether the server closes the connection after this, or should not be asked again."""
    severity = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED)
    return severity in (b"FATAL", b"PANIC") or code_of(result) == _READ_ONLY


def port_error(result: PGresult) -> Exception:
    """What a statement's failure means to the caller.

    Never the server's own text: its details name values of the rows.
    """
    code = code_of(result)
    if code.startswith(_INTEGRITY):
        return StoreConflict("somebody else was first; read again")
    cause = _CAUSES.get(code) or _CLASSES.get(code[:2])
    if cause is None:
        primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"unknown failure"
        return psycopg.DatabaseError(f"{primary.decode(errors='replace')} (SQLSTATE {code})")
    kind = {
        _DISK_FULL: StoreFull,
        _SERIALIZATION: Undecided,
        _DEADLOCK: Undecided,
    }.get(code, StoreUnavailable)
    return kind(PREFIX + cause)


_REFUSALS = ("authentication failed", "does not exist", "permission denied", "no pg_hba.conf")
"""What libpq reports without a code, in the server's words, which are English unless set."""


def connection_error(error: Exception) -> StoreUnavailable:
    """What it means that no connection could be made. The URL and its password are left out."""
    if any(refusal in str(error) for refusal in _REFUSALS):
        return StoreUnusable(
            "the store's server refuses the role, the password or the database in its URL"
        )
    code = error.sqlstate if isinstance(error, psycopg.Error) else None
    return unavailable(_CAUSES.get(code or "", "its server cannot be reached"))
