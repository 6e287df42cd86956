"""For whom a process of ours calls another: told in metadata, believed only of those who may.

The chain reads it on the methods whose scope is `mesh.delegate`, once the caller's own key has
been found to hold that scope by name. Everywhere else nobody looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from google.protobuf.message import DecodeError

from colonnade.v1 import gateway_pb2
from core.call import Call
from core.errors import InvalidInput
from core.identifiers import ApiKeyId, CallId, TenantId, UserId
from core.principal import DELEGATE_SCOPE, Principal

CALLER_KEY = "colonnade-caller-bin"
_MOST_ID = 128


class WithMetadata(Protocol):
    """The part of a server's context that is read here."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """What the caller sent beside its message."""


def caller_metadata(call: Call) -> tuple[str, bytes]:
    """Tells the other process for whom, and for which call of ours, this one is."""
    principal = call.principal
    caller = gateway_pb2.DelegatedCaller(
        tenant=principal.tenant,
        user=principal.user,
        key=principal.key,
        scopes=sorted(principal.scopes - {DELEGATE_SCOPE}),
        call_id=call.id,
    )
    return CALLER_KEY, caller.SerializeToString()


def delegated(context: WithMetadata, call: Call) -> Call:
    """The call as that of the principal whom the metadata names, with its id.

    It never holds `mesh.delegate` itself: who is called may not call on in anybody's name. Raises
    InvalidInput where nobody is named.
    """
    caller = _caller(context)
    if not (caller.tenant and caller.user):
        raise InvalidInput.at(CALLER_KEY, "must name the tenant and the user of the call")
    principal = Principal(
        TenantId(caller.tenant),
        UserId(caller.user),
        ApiKeyId(caller.key),
        frozenset(caller.scopes) - {DELEGATE_SCOPE},
    )
    id = CallId(caller.call_id[:_MOST_ID]) or call.id
    return Call(principal, id, call.deadline, trace=call.trace)


def _caller(context: WithMetadata) -> gateway_pb2.DelegatedCaller:
    for key, value in context.invocation_metadata() or ():
        if key == CALLER_KEY and isinstance(value, bytes):
            try:
                return gateway_pb2.DelegatedCaller.FromString(value)
            except DecodeError as error:
                raise InvalidInput.at(CALLER_KEY, "is no DelegatedCaller in protobuf") from error
    raise InvalidInput.at(CALLER_KEY, "is missing: this method is called for somebody")
