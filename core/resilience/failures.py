"""What each kind of error means: for the deployment, for the request, for who is asked next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from core.catalog import FallbackCause
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds


class Weight(Enum):
    """What a call says about the health of its deployment."""

    SUCCESS = "success"  # it answered, be it to say that the request is wrong
    FAILURE = "failure"  # counts against it
    REST = "rest"  # it is to be left alone at once
    NOTHING = "nothing"  # the call was given up by us


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a call says about its deployment; with REST, for how long and why.

    `must`: to call earlier is pointless.
    """

    weight: Weight
    cause: str = ""
    rest: Seconds = Seconds(0.0)
    must: bool = False


ANSWERED = Verdict(Weight.SUCCESS)
GIVEN_UP = Verdict(Weight.NOTHING)


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """How long a deployment is left alone after an error that says so by itself.

    A provider's own `Retry-After` counts before these, up to `longest_advice`: some send days.
    """

    rate_limited: Seconds = Seconds(5.0)
    authentication: Seconds = Seconds(60.0)
    weights_missing: Seconds = Seconds(60.0)
    longest_advice: Seconds = Seconds(600.0)


_THE_REQUESTS_OWN = frozenset(
    {
        ModelErrorKind.CONTEXT_TOO_LONG,
        ModelErrorKind.CONTENT_FILTERED,
        ModelErrorKind.BAD_REQUEST,
        ModelErrorKind.UNSUPPORTED,
    }
)
_CAUSES = {
    ModelErrorKind.RATE_LIMITED: FallbackCause.RATE,
    ModelErrorKind.CONTEXT_TOO_LONG: FallbackCause.CONTEXT_WINDOW,
    ModelErrorKind.CONTENT_FILTERED: FallbackCause.CONTENT_FILTER,
}
_PASSING = frozenset(
    {
        ModelErrorKind.RATE_LIMITED,
        ModelErrorKind.OVERLOADED,
        ModelErrorKind.TIMEOUT,
        ModelErrorKind.CONNECTION,
        ModelErrorKind.MALFORMED_STREAM,
    }
)


def verdict_of(error: ModelError, policy: CooldownPolicy) -> Verdict:
    """What this error says about the deployment that gave it."""
    kind, advice = error.kind, error.retry_after
    if kind in _THE_REQUESTS_OWN:
        return ANSWERED
    own = {
        ModelErrorKind.RATE_LIMITED: policy.rate_limited,
        ModelErrorKind.AUTHENTICATION: policy.authentication,
        ModelErrorKind.WEIGHTS_MISSING: policy.weights_missing,
    }
    if advice is not None and kind in (ModelErrorKind.RATE_LIMITED, ModelErrorKind.OVERLOADED):
        rest = Seconds(min(advice, policy.longest_advice))
        return Verdict(Weight.REST, kind.value, rest, must=True)
    if kind in own:
        must = kind is not ModelErrorKind.RATE_LIMITED
        return Verdict(Weight.REST, kind.value, own[kind], must=must)
    return Verdict(Weight.FAILURE, kind.value)


def fallback_cause(kind: ModelErrorKind) -> FallbackCause:
    """Which chain of a route is for this kind."""
    return _CAUSES.get(kind, FallbackCause.DOWN)


def passes(kind: ModelErrorKind) -> bool:
    """Whether the same deployment may answer the same request a little later."""
    return kind in _PASSING
