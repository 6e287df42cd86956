"""How a turn ends, line by line of the table; who may take it over; what is booked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.generation import TokenUsage
from core.identifiers import BootId, DeploymentName, Seconds, TenantId, TurnId, UserId
from core.prices import Prices, cost_of
from core.turns.outcome import (
    bookable_usage,
    may_be_taken_over,
    may_run_again,
    outcome,
    settled,
    unbooked,
)
from core.turns.rows import Attempt, EndReason, Turn, TurnFailure, TurnState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TURN = Turn(
    id=TurnId("t"),
    tenant=TenantId("acme"),
    user=UserId("ann"),
    state=TurnState.RUNNING,
    run=1,
    epoch=1,
    owner=BootId("b"),
    claim_nonce="n",
    lease_until=NOON,
    deadline_at=NOON,
    created_at=NOON,
)
FAILURE = TurnFailure("MODELS_UNAVAILABLE", "no model could answer")
ATTEMPT = Attempt("t", 1, TenantId("acme"), 1, 1, DeploymentName("m"), 100, None, NOON)

NORMAL = (EndReason.STOP, EndReason.LENGTH, EndReason.CONTENT_FILTER, EndReason.REFUSED)
EITHER = (EndReason.INTERRUPTED, EndReason.ABANDONED)
FAILING = (EndReason.ERROR, EndReason.DEADLINE)

reasons = st.sampled_from(EndReason)
rows = st.builds(
    replace,
    st.just(TURN),
    released=st.booleans(),
    done=st.booleans(),
    cancel=st.sampled_from([None, EndReason.CANCELLED, EndReason.ABANDONED]),
)


@pytest.mark.parametrize("reason", NORMAL)
@pytest.mark.parametrize("released", [True, False])
def test_a_normal_end_is_finished(reason: EndReason, released: bool) -> None:
    end = outcome(replace(TURN, released=released), reason, None)
    assert (end.state, end.reason, end.failure, end.rerunnable) == (
        TurnState.FINISHED,
        reason,
        None,
        False,
    )


@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_a_cancel_is_finished_and_never_runs_again(released: bool, done: bool) -> None:
    row = replace(TURN, released=released, done=done, cancel=EndReason.CANCELLED)
    for reason in (None, *EndReason):
        end = outcome(row, reason, FAILURE)
        assert (end.state, end.reason, end.failure, end.rerunnable) == (
            TurnState.FINISHED,
            EndReason.CANCELLED,
            None,
            False,
        )


@pytest.mark.parametrize("reason", FAILING)
@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_errors_and_deadlines_fail(reason: EndReason, released: bool, done: bool) -> None:
    end = outcome(replace(TURN, released=released, done=done), reason, None)
    assert (end.state, end.reason) == (TurnState.FAILED, reason)
    assert end.rerunnable == (not released and not done)
    assert end.failure is not None


@pytest.mark.parametrize("reason", EITHER)
@pytest.mark.parametrize(("released", "done"), [(True, False), (False, True), (True, True)])
def test_what_has_something_to_show_is_finished(
    reason: EndReason, released: bool, done: bool
) -> None:
    end = outcome(replace(TURN, released=released, done=done), reason, None)
    assert (end.state, end.reason, end.rerunnable) == (TurnState.FINISHED, reason, False)


@pytest.mark.parametrize("reason", EITHER)
def test_what_has_nothing_to_show_fails_and_may_run_again(reason: EndReason) -> None:
    end = outcome(TURN, reason, None)
    assert (end.state, end.reason, end.rerunnable) == (TurnState.FAILED, reason, True)


def test_a_runner_that_left_no_reason_was_interrupted() -> None:
    assert outcome(TURN, None, None).reason is EndReason.INTERRUPTED


def test_a_wish_to_abandon_that_is_in_the_row_wins_over_a_finish() -> None:
    row = replace(TURN, cancel=EndReason.ABANDONED, released=True)
    assert outcome(row, EndReason.STOP, None).reason is EndReason.ABANDONED


def test_the_runners_own_failure_is_told_and_no_other() -> None:
    assert outcome(TURN, EndReason.ERROR, FAILURE).failure == FAILURE
    overruled = outcome(replace(TURN, cancel=EndReason.ABANDONED), EndReason.ERROR, FAILURE)
    assert overruled.failure is not None
    assert overruled.failure.reason == "TURN_ABANDONED"


@given(rows, st.none() | reasons, st.none() | st.just(FAILURE))
def test_a_failed_turn_has_its_error_and_a_finished_one_has_none(
    row: Turn, reason: EndReason | None, failure: TurnFailure | None
) -> None:
    end = outcome(row, reason, failure)
    assert end.state.ended
    assert (end.failure is None) == (end.state is TurnState.FINISHED)
    after = settled(row, end, NOON)
    assert may_run_again(after) == end.rerunnable
    assert end.rerunnable == (end.state is TurnState.FAILED and not row.released and not row.done)
    assert after.ended_at == NOON


@given(rows, st.sampled_from(TurnState), st.integers(-20, 20), st.integers(-20, 20))
def test_who_may_take_over(row: Turn, state: TurnState, lease: int, deadline: int) -> None:
    row = replace(
        row,
        state=state,
        lease_until=NOON + timedelta(seconds=lease),
        deadline_at=NOON + timedelta(seconds=deadline),
    )
    due = lease < 0 or deadline + 10 < 0
    expected = state is TurnState.RUNNING and due
    assert may_be_taken_over(row, NOON, Seconds(10)) == expected


def test_only_what_is_unbooked_is_booked() -> None:
    attempts = [replace(ATTEMPT, number=n, booked=n % 2 == 0) for n in range(1, 6)]
    assert [attempt.number for attempt in unbooked(attempts)] == [1, 3, 5]


@pytest.mark.parametrize(
    ("used", "output_bytes", "booked", "estimated"),
    [
        (TokenUsage(7, 3), 100, TokenUsage(7, 3), False),
        (TokenUsage(7, 3, 2, 1), 0, TokenUsage(7, 3, 2, 1), False),
        (None, 0, TokenUsage(100, 0), True),
        (None, 7, TokenUsage(100, 3), True),
        (TokenUsage(7, None), 9, TokenUsage(7, 3), True),
        (TokenUsage(None, 3), 9, TokenUsage(100, 3), True),
        (TokenUsage(0, 0), 9, TokenUsage(0, 0), False),
    ],
)
def test_what_is_booked(
    used: TokenUsage | None, output_bytes: int, booked: TokenUsage, estimated: bool
) -> None:
    attempt = replace(ATTEMPT, used=used, output_bytes=output_bytes)
    assert bookable_usage(attempt) == (booked, estimated)


@pytest.mark.parametrize(
    ("usage", "prices", "cost"),
    [
        (TokenUsage(1_000_000, 0), Prices(Decimal("0.15"), Decimal("0.60")), "0.15"),
        (TokenUsage(1, 1), Prices(Decimal("0.15"), Decimal("0.60")), "0.00000075"),
        (TokenUsage(10, 1, 4), Prices(Decimal(3), Decimal(6), Decimal(1)), "0.000028"),
        (TokenUsage(10, 1, 4), Prices(Decimal(3), Decimal(6)), "0.000036"),
        (TokenUsage(10, 1, 99), Prices(Decimal(3), Decimal(6), Decimal(1)), "0.000016"),
        (TokenUsage(10, 1), Prices(Decimal(0), Decimal(0)), "0"),
        (TokenUsage(10, None), Prices(Decimal(3), Decimal(6)), None),
        (TokenUsage(None, 1), Prices(Decimal(3), Decimal(6)), None),
        (TokenUsage(10, 1), Prices(None, Decimal(6)), None),
        (TokenUsage(10, 1), Prices(Decimal(3), None), None),
    ],
)
def test_money_is_exact_or_unknown(usage: TokenUsage, prices: Prices, cost: str | None) -> None:
    assert cost_of(usage, prices) == (None if cost is None else Decimal(cost))
