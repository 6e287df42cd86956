"""The breaker, by examples and against a reference model that remembers everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.resilience.breaker import (
    BUCKETS,
    Breaker,
    BreakerPolicy,
    Permit,
    Phase,
    begin,
    end,
    rest_of,
)
from core.resilience.failures import (
    ANSWERED,
    GIVEN_UP,
    CooldownPolicy,
    Verdict,
    Weight,
    verdict_of,
)

POLICY = BreakerPolicy(
    window=Seconds(6.0),
    minimum=4,
    share=0.5,
    in_a_row=3,
    rest=Seconds(2.0),
    longest_rest=Seconds(7.0),
    probes=2,
    successes=2,
    probe_patience=Seconds(5.0),
)
FAILED = Verdict(Weight.FAILURE, "overloaded")
MUST_REST = Verdict(Weight.REST, "rate_limited", Seconds(9.0), must=True)


def after(*verdicts: Verdict, at: float = 0.0, breaker: Breaker | None = None) -> Breaker:
    state = breaker or Breaker()
    for verdict in verdicts:
        state, permit = begin(state, POLICY, Seconds(at))
        state = end(state, POLICY, permit, verdict, Seconds(at))
    return state


def test_failures_in_a_row_open_it_and_it_says_why_and_for_how_long() -> None:
    opened = after(FAILED, FAILED, FAILED)
    rest = rest_of(opened, POLICY, Seconds(0.5))
    assert rest is not None
    assert (opened.phase, rest.cause, rest.again_in, rest.must) == (
        Phase.OPEN,
        "overloaded",
        1.5,
        False,
    )


def test_a_share_of_failures_opens_it_also_when_some_succeed_between() -> None:
    assert after(FAILED, ANSWERED, FAILED).phase is Phase.CLOSED
    assert after(FAILED, ANSWERED, ANSWERED, FAILED).phase is Phase.OPEN


def test_old_failures_are_forgotten() -> None:
    state = after(FAILED, FAILED)
    state = after(ANSWERED, at=8.0, breaker=state)
    assert after(FAILED, FAILED, at=8.0, breaker=state).phase is Phase.CLOSED


def test_probes_close_it_and_a_failed_probe_doubles_the_rest() -> None:
    opened = after(FAILED, FAILED, FAILED)
    again = after(FAILED, at=2.0, breaker=opened)
    rest = rest_of(again, POLICY, Seconds(2.0))
    assert rest is not None
    assert rest.again_in == pytest.approx(4.0)
    assert after(ANSWERED, at=6.0, breaker=again).phase is Phase.HALF_OPEN
    assert after(ANSWERED, ANSWERED, at=6.0, breaker=again) == Breaker(era=again.era + 2)


def test_only_so_many_probes_at_once_and_lost_ones_are_not_waited_for() -> None:
    state = after(FAILED, FAILED, FAILED)
    for _ in range(POLICY.probes):
        assert rest_of(state, POLICY, Seconds(2.0)) is None
        state, _ = begin(state, POLICY, Seconds(2.0))
    assert rest_of(state, POLICY, Seconds(2.0)) is not None
    assert rest_of(state, POLICY, Seconds(7.0)) is None


def test_a_call_of_an_earlier_era_says_nothing_new() -> None:
    state, late = begin(Breaker(), POLICY, Seconds(0.0))
    opened = after(FAILED, FAILED, FAILED, breaker=state)
    assert end(opened, POLICY, late, ANSWERED, Seconds(1.0)) == opened


def test_one_that_names_the_time_itself_is_not_called_earlier() -> None:
    rest = rest_of(after(MUST_REST), POLICY, Seconds(1.0))
    assert rest is not None
    assert (rest.again_in, rest.must) == (8.0, True)


@pytest.mark.parametrize("kind", list(ModelErrorKind))
def test_each_kind_of_error_counts_against_it_or_rests_it_or_shows_that_it_is_up(
    kind: ModelErrorKind,
) -> None:
    verdict = verdict_of(ModelError(kind, ""), CooldownPolicy())
    own = {"context_too_long", "content_filtered", "bad_request", "unsupported"}
    rests = {"rate_limited", "authentication", "weights_missing"}
    expected = (
        Weight.SUCCESS
        if kind.value in own
        else Weight.REST
        if kind.value in rests
        else Weight.FAILURE
    )
    assert verdict.weight is expected


def test_advice_is_kept_up_to_a_bound() -> None:
    limited = ModelError(ModelErrorKind.RATE_LIMITED, "", retry_after=Seconds(86_400))
    verdict = verdict_of(limited, CooldownPolicy(longest_advice=Seconds(600)))
    assert (verdict.rest, verdict.must) == (Seconds(600), True)


@dataclass
class Reference:
    """What a breaker should do, from the whole history."""

    phase: str = "closed"
    ended: list[tuple[float, bool]] = field(default_factory=list)
    opened_at: float = 0.0
    rest: float = 0.0
    trips: int = 0
    good: int = 0
    open_probes: list[float] = field(default_factory=list)
    era: int = 0

    def lets_through(self, now: float) -> bool:
        if self.phase == "closed":
            return True
        if self.phase == "open":
            return now >= self.opened_at + self.rest
        waiting = [p for p in self.open_probes if now - p < POLICY.probe_patience]
        return len(waiting) < POLICY.probes

    def began(self, now: float) -> tuple[int, float | None]:
        if self.phase == "closed":
            return self.era, None
        if self.phase == "open":
            self.phase, self.good, self.open_probes = "half_open", 0, []
            self.era += 1
        self.open_probes = [p for p in self.open_probes if now - p < POLICY.probe_patience]
        self.open_probes.append(now)
        return self.era, now

    def came_back(self, token: tuple[int, float | None], verdict: Verdict, now: float) -> None:
        era, probe = token
        if era != self.era:
            return
        if probe is not None and self.open_probes:
            self.open_probes.pop(0)
        if verdict.weight is Weight.NOTHING:
            return
        failed = verdict.weight is not Weight.SUCCESS
        if verdict.weight is Weight.REST or (failed and self.phase != "closed"):
            self._open(verdict, now)
        elif self.phase == "closed":
            self.ended.append((now, failed))
            if failed and self._too_many(now):
                self._open(verdict, now)
        else:
            self.good += 1
            if self.good >= POLICY.successes:
                self.phase, self.ended, self.trips = "closed", [], 0
                self.era += 1

    def _too_many(self, now: float) -> bool:
        in_a_row = 0
        for _, failed in reversed(self.ended):
            if not failed:
                break
            in_a_row += 1
        width = POLICY.window / BUCKETS
        seen = [f for at, f in self.ended if int(at / width) > int(now / width) - BUCKETS]
        share = len(seen) >= POLICY.minimum and sum(seen) >= POLICY.share * len(seen)
        return share or in_a_row >= POLICY.in_a_row

    def _open(self, verdict: Verdict, now: float) -> None:
        own = min(POLICY.longest_rest, POLICY.rest * 2**self.trips)
        self.rest = verdict.rest if verdict.weight is Weight.REST else own
        self.phase, self.opened_at, self.ended = "open", now, []
        self.trips += 1
        self.era += 1


class BreakerAgainstReference(RuleBasedStateMachine):
    """Any order of beginnings and ends, with time going on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker()
        self.reference = Reference()
        self.under_way: list[tuple[Permit, tuple[int, float | None]]] = []

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, 6.5]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(last_resort=st.booleans())
    def call(self, last_resort: bool) -> None:
        resting = rest_of(self.breaker, POLICY, Seconds(self.now)) is not None
        if resting and not last_resort:
            return
        self.breaker, permit = begin(self.breaker, POLICY, Seconds(self.now))
        self.under_way.append((permit, self.reference.began(self.now)))

    @rule(data=st.data(), verdict=st.sampled_from([ANSWERED, FAILED, FAILED, GIVEN_UP, MUST_REST]))
    def end_one(self, data: st.DataObject, verdict: Verdict) -> None:
        if not self.under_way:
            return
        which = data.draw(st.integers(0, len(self.under_way) - 1))
        permit, token = self.under_way.pop(which)
        self.breaker = end(self.breaker, POLICY, permit, verdict, Seconds(self.now))
        self.reference.came_back(token, verdict, self.now)

    @invariant()
    def both_agree(self) -> None:
        assert self.breaker.phase.value == self.reference.phase
        let = rest_of(self.breaker, POLICY, Seconds(self.now)) is None
        assert let == self.reference.lets_through(self.now)
        assert len(self.breaker.buckets) <= BUCKETS


BreakerAgainstReference.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestBreakerAgainstReference = BreakerAgainstReference.TestCase
