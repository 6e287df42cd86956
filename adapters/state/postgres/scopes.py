"""How a batch of statements begins: for whom it works, and what time it is."""

from __future__ import annotations

from adapters.state.postgres.link import Call
from core.ports.state import Scope

BEGIN = Call("BEGIN", ())
BEGIN_SNAPSHOT = Call("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
COMMIT = Call("COMMIT", ())

_SCOPE = (
    "SELECT set_config('colonnade.tenant', $1, true), "
    "set_config('colonnade.every_tenant', $2, true)"
)
_TIME = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def scope_and_time(scope: Scope) -> Call:
    """From here to the transaction's end: the tenant alone or, said expressly, all. Answers with
    the server's time, in the last column.
    """
    return Call(f"{_SCOPE}, {_TIME}", _values(scope))


def scope_alone(scope: Scope) -> Call:
    """The same, where the time is known."""
    return Call(_SCOPE, _values(scope))


def _values(scope: Scope) -> tuple[str, str]:
    return (scope, "off") if isinstance(scope, str) else ("", "on")
