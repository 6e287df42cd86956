"""Retries, hedges, limits, queues: the decisions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog import FallbackCause, Limits
from core.generation import ModelErrorKind
from core.identifiers import Seconds, TenantId
from core.resilience.failures import fallback_cause, passes
from core.resilience.load import HedgePolicy, Load, hedge_after
from core.resilience.queueing import FairQueue
from core.resilience.rates import RateLimiter, TokenBucket
from core.resilience.retries import Allowance, RetryPolicy, retry_delay

POLICY = RetryPolicy(rounds=4, base=Seconds(1), cap=Seconds(3), longest_advice=Seconds(60))
DRAWS = st.floats(0, 1, exclude_max=True)


@given(st.integers(2, 6), st.none() | st.floats(0, 100), DRAWS)
def test_a_wait_is_jittered_within_its_bounds_and_keeps_the_advice(
    round_: int, advice: float | None, draw: float
) -> None:
    """Elsewhere: `Retry-After` read from the first failure (litellm 20722)."""
    told = None if advice is None else Seconds(advice)
    wait = retry_delay(round_, POLICY, told, draw)
    if round_ > POLICY.rounds or (advice is not None and advice > POLICY.longest_advice):
        assert wait is None
        return
    assert wait is not None
    assert max(advice or 0, 0) <= wait <= max(advice or 0, min(3, 2 ** (round_ - 2)))


@given(st.lists(st.tuples(st.sampled_from("cs"), st.floats(0, 1)), max_size=200))
def test_extra_calls_stay_in_proportion(steps: list[tuple[str, float]]) -> None:
    allowance = Allowance(share=0.1, most=5, per_second=0.01, saved=5)
    now, calls, extra = 0.0, 0, 0
    for step, seconds in steps:
        now += seconds
        if step == "c":
            allowance, calls = allowance.called(Seconds(now)), calls + 1
        elif (spent := allowance.spend(Seconds(now))) is not None:
            allowance, extra = spent, extra + 1
    assert extra <= 5 + 0.1 * calls + 0.01 * now + 1e-9


@given(st.lists(st.floats(0, 20), min_size=1, max_size=20), st.floats(0, 30))
def test_calls_may_be_counted_later(waits: list[float], most: float) -> None:
    at_once = Allowance(share=0.3, most=most, per_second=0.01, saved=0.0)
    later, now = at_once, 0.0
    for wait in waits:
        now += wait
        at_once = at_once.called(Seconds(now))
    later = later.called(Seconds(now), len(waits))
    assert later.saved == pytest.approx(at_once.saved)
    assert later.at == at_once.at


def test_every_kind_has_its_chain() -> None:
    causes = {kind: fallback_cause(kind) for kind in ModelErrorKind}
    assert causes[ModelErrorKind.RATE_LIMITED] is FallbackCause.RATE
    assert causes[ModelErrorKind.CONTEXT_TOO_LONG] is FallbackCause.CONTEXT_WINDOW
    assert causes[ModelErrorKind.CONTENT_FILTERED] is FallbackCause.CONTENT_FILTER
    assert Counter(causes.values())[FallbackCause.DOWN] == len(ModelErrorKind) - 3
    assert not passes(ModelErrorKind.AUTHENTICATION)
    assert passes(ModelErrorKind.CONNECTION)


class TestHedging:
    def test_it_waits_for_what_most_calls_take(self) -> None:
        load = Load()
        policy = HedgePolicy(enabled=True, soonest=Seconds(0.1))
        for wait in range(1, 101):
            load = load.heard(Seconds(wait / 100))
        assert hedge_after(load, policy) == Seconds(0.97)
        assert load.samples == 64

    def test_it_waits_for_ever_until_it_knows_enough(self) -> None:
        assert hedge_after(Load().heard(Seconds(1)), HedgePolicy(enabled=True)) is None
        assert hedge_after(Load(), HedgePolicy(enabled=True, after=Seconds(0.5))) == Seconds(0.5)
        assert hedge_after(Load(), HedgePolicy(after=Seconds(0.5))) is None

    def test_the_mean_follows(self) -> None:
        load = Load().heard(Seconds(1)).heard(Seconds(2))
        assert load.first_token == Seconds(1.2)


class TestRates:
    @given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60))
    def test_who_waits_never_exceeds_the_rate(self, calls: list[tuple[float, int]]) -> None:
        bucket, now, taken = TokenBucket.full(120, Seconds(0)), 0.0, 0.0
        for pause, amount in calls:
            now += pause
            now += bucket.wait(amount, Seconds(now)) + 1e-9
            bucket = bucket.take(amount, Seconds(now))
            taken += amount
            assert taken <= 120 + now * 2 + 1e-3

    def test_a_call_above_the_whole_limit_waits_for_a_full_bucket_and_pays_it_off(self) -> None:
        bucket = TokenBucket.full(60, Seconds(0))
        assert bucket.wait(500, Seconds(0)) == Seconds(0)
        assert bucket.take(500, Seconds(0)).wait(1, Seconds(0)) == Seconds(441)

    def test_what_was_reserved_and_not_used_is_put_back(self) -> None:
        fresh = RateLimiter.of(Limits(tokens_per_minute=100), Seconds(0))
        assert fresh is not None
        limiter = fresh.take(100, Seconds(0))
        assert limiter.wait(50, Seconds(0)) == Seconds(30)
        assert limiter.correct(100, 40, Seconds(0)).wait(50, Seconds(0)) == Seconds(0)

    def test_without_limits_nobody_waits(self) -> None:
        assert RateLimiter.of(Limits(), Seconds(0)) is None


A, B, C = TenantId("a"), TenantId("b"), TenantId("c")


class TestFairQueue:
    def test_a_crowd_does_not_keep_a_single_call_waiting(self) -> None:
        queue: FairQueue[int] = FairQueue(10)
        for item in range(8):
            queue.put(A, item)
        queue.put(B, 100)
        assert queue.take({A: 3}) == (B, 100)
        assert queue.take({A: 3, B: 1}) == (A, 0)

    def test_when_it_is_full_the_last_of_the_longest_line_goes(self) -> None:
        queue: FairQueue[int] = FairQueue(3)
        assert [queue.put(A, item) for item in range(4)] == [None, None, None, 3]
        assert queue.put(B, 10) == 2
        assert queue.put(B, 11) == 11
        assert queue.length == 3

    def test_a_queue_without_room_turns_everyone_away(self) -> None:
        assert FairQueue[int](0).put(A, 1) == 1

    @given(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=60))
    def test_turns_are_even_while_all_wait(self, arrivals: list[TenantId]) -> None:
        queue: FairQueue[int] = FairQueue(100)
        for number, tenant in enumerate(arrivals):
            queue.put(tenant, number)
        left = Counter(arrivals)
        taken: Counter[TenantId] = Counter()
        seen: dict[TenantId, list[int]] = {A: [], B: [], C: []}
        while (found := queue.take({})) is not None:
            tenant, number = found
            waiting = [t for t in left if left[t] > 0]
            assert taken[tenant] == min(taken[t] for t in waiting)
            taken[tenant] += 1
            left[tenant] -= 1
            seen[tenant].append(number)
        assert all(numbers == sorted(numbers) for numbers in seen.values())
        assert queue.length == 0

    def test_who_gives_up_is_not_called(self) -> None:
        queue: FairQueue[int] = FairQueue(3)
        queue.put(A, 1)
        assert queue.leave(A, 1)
        assert not queue.leave(A, 1)
        assert queue.take({}) is None
