"""A circuit breaker: who fails too often is left alone, then probed, then trusted again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from core.identifiers import Seconds
from core.resilience.failures import Verdict, Weight
from core.routing.standing import Rest

BUCKETS = 6
"""The window of counts moves in steps of a sixth of it."""


class Phase(Enum):
    """CLOSED: calls go through. OPEN: none do. HALF_OPEN: a few probes do."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When it opens: `in_a_row` failures, or `share` of at least `minimum` calls in `window`.

    It rests for `rest`, twice as long after each probe that failed, up to `longest_rest`. Then
    `probes` calls at once are let through, until `successes` of them went well. A probe that has
    not come back after `probe_patience` is not waited for.
    """

    window: Seconds = Seconds(30.0)
    minimum: int = 10
    share: float = 0.5
    in_a_row: int = 5
    rest: Seconds = Seconds(5.0)
    longest_rest: Seconds = Seconds(120.0)
    probes: int = 1
    successes: int = 2
    probe_patience: Seconds = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class Permit:
    """A call was let through in this era: what it comes to in a later one says nothing new."""

    era: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that ended in one step of the window."""

    step: int
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state; times are on the caller's monotonic clock. `era` grows with each change of phase.

    `trips` counts how often it opened without having closed again, `until` is the end of a rest,
    `probing` when each probe that is under way began, `proven` how many went well. A closed one
    has nothing but its era, its counts and how often it failed in a row.
    """

    phase: Phase = Phase.CLOSED
    era: int = 0
    buckets: tuple[Bucket, ...] = ()
    in_a_row: int = 0
    trips: int = 0
    until: Seconds = Seconds(0.0)
    cause: str = ""
    must: bool = False
    probing: tuple[Seconds, ...] = ()
    proven: int = 0


def rest_of(breaker: Breaker, policy: BreakerPolicy, now: Seconds) -> Rest | None:
    """Why and for how long it should be left alone; None where a call may go through."""
    if breaker.phase is Phase.CLOSED:
        return None
    if breaker.phase is Phase.OPEN:
        left = Seconds(breaker.until - now)
        return Rest(breaker.cause, left, breaker.must) if left > 0 else None
    under_way = _waited_for(breaker, policy, now)
    if len(under_way) < policy.probes:
        return None
    patience = max(0.0, min(under_way) + policy.probe_patience - now)
    return Rest("is being probed", Seconds(patience), probed=True)


def begin(breaker: Breaker, policy: BreakerPolicy, now: Seconds) -> tuple[Breaker, Permit]:
    """A call goes through now: as a probe, where the rest is over.

    Whoever goes through in spite of a rest (as the last resort) is a probe too.
    """
    if breaker.phase is Phase.CLOSED:
        return breaker, Permit(breaker.era)
    if breaker.phase is Phase.OPEN:
        breaker = replace(breaker, phase=Phase.HALF_OPEN, era=breaker.era + 1, probing=(), proven=0)
    under_way = (*_waited_for(breaker, policy, now), now)
    return replace(breaker, probing=under_way), Permit(breaker.era, probe=True)


def end(
    breaker: Breaker, policy: BreakerPolicy, permit: Permit, verdict: Verdict, now: Seconds
) -> Breaker:
    """A call that was let through has ended."""
    if permit.era != breaker.era:
        return breaker
    if permit.probe:
        breaker = replace(breaker, probing=breaker.probing[1:])
    match verdict.weight:
        case Weight.NOTHING:
            return breaker
        case Weight.REST if verdict.rest > 0:
            return _opened(breaker, policy, verdict, now)
        case Weight.SUCCESS:
            return _succeeded(breaker, policy, now)
        case Weight.REST | Weight.FAILURE:
            return _failed(breaker, policy, verdict, now)


def _waited_for(breaker: Breaker, policy: BreakerPolicy, now: Seconds) -> tuple[Seconds, ...]:
    return tuple(began for began in breaker.probing if now - began < policy.probe_patience)


def _succeeded(breaker: Breaker, policy: BreakerPolicy, now: Seconds) -> Breaker:
    if breaker.phase is Phase.CLOSED:
        return Breaker(era=breaker.era, buckets=_counted(breaker, policy, now, failed=False))
    proven = breaker.proven + 1
    if proven < policy.successes:
        return replace(breaker, proven=proven)
    return Breaker(era=breaker.era + 1)


def _failed(breaker: Breaker, policy: BreakerPolicy, verdict: Verdict, now: Seconds) -> Breaker:
    if breaker.phase is not Phase.CLOSED:
        return _opened(breaker, policy, verdict, now)
    buckets = _counted(breaker, policy, now, failed=True)
    counted = Breaker(era=breaker.era, buckets=buckets, in_a_row=breaker.in_a_row + 1)
    calls = sum(bucket.calls for bucket in buckets)
    failures = sum(bucket.failures for bucket in buckets)
    too_many = calls >= policy.minimum and failures >= policy.share * calls
    if too_many or counted.in_a_row >= policy.in_a_row:
        return _opened(counted, policy, verdict, now)
    return counted


def _opened(breaker: Breaker, policy: BreakerPolicy, verdict: Verdict, now: Seconds) -> Breaker:
    """Left alone for as long as the verdict says, else for twice as long as last time."""
    own = min(policy.longest_rest, policy.rest * 2**breaker.trips)
    rest = verdict.rest or own
    return Breaker(
        phase=Phase.OPEN,
        era=breaker.era + 1,
        trips=min(breaker.trips + 1, 32),
        until=Seconds(now + rest),
        cause=verdict.cause,
        must=verdict.must,
    )


def _counted(
    breaker: Breaker, policy: BreakerPolicy, now: Seconds, *, failed: bool
) -> tuple[Bucket, ...]:
    """The window's counts with one more call in the last."""
    step = int(now / (policy.window / BUCKETS))
    known = breaker.buckets
    if known and known[-1].step == step and known[0].step > step - BUCKETS:
        last = known[-1]  # as nearly always: nothing has left the window
        return (*known[:-1], Bucket(step, last.calls + 1, last.failures + failed))
    kept = tuple(bucket for bucket in known if bucket.step > step - BUCKETS)
    if kept and kept[-1].step == step:
        last = kept[-1]
        return (*kept[:-1], Bucket(step, last.calls + 1, last.failures + failed))
    return (*kept, Bucket(step, 1, int(failed)))
