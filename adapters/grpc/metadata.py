"""What a call says beside its message: the key of who calls, and the trace it belongs to."""

from __future__ import annotations

from adapters.grpc.delegation import WithMetadata
from adapters.grpc.tracing import TRACE_PARENT, trace_of
from core.errors import Unauthenticated
from core.trace import TraceContext

_BEARER = "bearer"


def heard(context: WithMetadata) -> tuple[str | None, TraceContext | None]:
    """The secret, None without any `authorization`, and the trace, if one is named.

    The metadata is gone through once. Raises Unauthenticated for what is no key.
    """
    secret: str | None = None
    traced = False
    for key, value in context.invocation_metadata() or ():  # keys are in lower case on the wire
        if key == "authorization":
            if secret is None:
                secret = _secret(value)
        elif key == TRACE_PARENT:
            traced = True
    return secret, trace_of(context) if traced else None


def _secret(value: str | bytes) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    scheme, _, secret = text.partition(" ")
    secret = secret.strip()
    if scheme.lower() != _BEARER or not secret:
        raise Unauthenticated("the authorization must read `Bearer KEY`")
    return secret
