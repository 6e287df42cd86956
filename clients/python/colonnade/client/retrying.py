"""Which failures pass, and how long to wait before the next call."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from colonnade.client.errors import Failure

_OF_CONNECTIONS = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
    }
)
_PASSING = frozenset({"SERVICE_UNAVAILABLE", "TOO_MANY_REQUESTS", "BRANCH_BUSY"})
_LASTING = frozenset({"MODELS_UNAVAILABLE", "TURN_INTERRUPTED"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn a client is. Times are in seconds.

    Pauses grow from `base` to `cap`. A turn that was never admitted is asked for in at most
    `start_attempts` calls, so that a server that isn't there is reported soon, or in
    `busy_attempts` where the server is there and says that it, or the conversation, is busy. A
    turn that has begun is read on until `resume_attempts` calls in a row brought nothing: a server
    may restart meanwhile. A turn that failed before it released anything is run again at most
    `reruns` times.
    """

    base: float = 0.1
    cap: float = 2.0
    start_attempts: int = 5
    busy_attempts: int = 8
    resume_attempts: int = 30
    reruns: int = 2


def passes(failure: Failure) -> bool:
    """True where the same call may well succeed a little later.

    A failure without a reason comes from the connection. A reason that this client doesn't know
    is judged by the status alone.
    """
    if not failure.reason:
        return failure.code in _OF_CONNECTIONS
    if failure.reason in _PASSING:
        return True
    return failure.code is grpc.StatusCode.UNAVAILABLE and failure.reason not in _LASTING


def pause(attempt: int, advice: float | None, policy: RetryPolicy, draw: float) -> float:
    """Seconds to wait before `attempt`, from 2.

    Full jitter (Brooker 2015): uniform in [0, min(cap, base * 2**(attempt - 2))], by the uniform
    `draw` from [0, 1). The server's advice is a lower bound.
    """
    # The exponent is bounded because the float would overflow long before the cap mattered.
    ceiling = min(policy.cap, policy.base * 2.0 ** min(attempt - 2, 60))
    return max(draw * ceiling, advice or 0.0)
