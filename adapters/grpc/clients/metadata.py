"""What goes beside every call to another process of ours."""

from __future__ import annotations

from adapters.grpc.delegation import caller_metadata
from adapters.grpc.tracing import trace_metadata
from core.call import Call

Metadata = tuple[tuple[str, str | bytes], ...]


def metadata_of(key: str, call: Call) -> Metadata:
    """Who calls, for whom, and in which trace."""
    proof = ("authorization", f"Bearer {key}")
    return proof, caller_metadata(call), *trace_metadata(call.trace)
