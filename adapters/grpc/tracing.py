"""The trace context in the metadata of calls: read from those that come, put into those that go."""

from __future__ import annotations

from adapters.grpc.delegation import WithMetadata
from core.trace import TraceContext, trace_context

TRACE_PARENT, _STATE = "traceparent", "tracestate"


def trace_of(context: WithMetadata) -> TraceContext | None:
    """The trace that the caller names, if any."""
    parents: list[str] = []
    states: list[str] = []
    for key, value in context.invocation_metadata() or ():
        if key == TRACE_PARENT and isinstance(value, str):
            parents.append(value)
        elif key == _STATE and isinstance(value, str):
            states.append(value)
    return trace_context(parents, states) if parents else None


def trace_metadata(trace: TraceContext | None) -> tuple[tuple[str, str], ...]:
    """The same, for the next process."""
    if trace is None:
        return ()
    state = ((_STATE, trace.state),) if trace.state else ()
    return (TRACE_PARENT, trace.parent), *state
