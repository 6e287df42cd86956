"""Who may write to a turn, and how a repeated append is recognised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import BootId, TenantId, TurnId, UserId
from core.turns.fencing import Fence, Standing, appended, run_again, standing_of_append
from core.turns.rows import EndReason, LoggedEvent, Turn, TurnFailure, TurnState

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


def _events(first: int, count: int) -> list[LoggedEvent]:
    return [LoggedEvent(n, 1, 1, "delta", b"x") for n in range(first, first + count)]


small = st.integers(1, 6)


@given(small, small, small, st.integers(0, 6), st.sampled_from(TurnState))
def test_an_append_applies_once_under_its_own_epoch(
    epoch: int, mine: int, first: int, count: int, state: TurnState
) -> None:
    row = replace(TURN, epoch=epoch, state=state, next_seq=3)
    standing = standing_of_append(row, Fence(mine), first, count)
    if state is not TurnState.RUNNING or epoch != mine:
        assert standing is Standing.STALE
    elif first == 3:
        assert standing is Standing.APPLIES
    elif first + count == 3:
        assert standing is Standing.APPLIED_BEFORE
    else:
        assert standing is Standing.STALE


def test_a_turn_that_is_not_there_is_nobodys() -> None:
    assert standing_of_append(None, Fence(1), 1, 1) is Standing.STALE
    assert not Fence(1).admits(None)
    assert not Fence(1).let_go(None)


@given(st.lists(st.integers(0, 5), max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_repeating_an_append_until_it_is_known_writes_it_once(
    counts: list[int], lost: list[bool]
) -> None:
    """However many replies are lost: the numbers are 1 to n, each once."""
    row, log, next_seq = TURN, list[int](), 1
    for count, reply_lost in zip(counts, lost, strict=False):
        for _ in range(1 + reply_lost):
            standing = standing_of_append(row, Fence(1), next_seq, count)
            if standing is Standing.APPLIES:
                events = _events(next_seq, count)
                log.extend(event.seq for event in events)
                row = appended(row, events, released=False)
            else:
                assert standing is Standing.APPLIED_BEFORE
        next_seq += count
    assert log == list(range(1, row.next_seq))


def test_what_was_released_stays_released() -> None:
    row = appended(TURN, _events(1, 2), released=True)
    assert (row.next_seq, row.released) == (3, True)
    assert appended(row, _events(3, 1), released=False).released


@pytest.mark.parametrize("state", [TurnState.FINISHED, TurnState.FAILED, TurnState.WAITING])
def test_who_let_the_turn_go_knows_that_it_was_itself(state: TurnState) -> None:
    gone = replace(TURN, state=state)
    assert Fence(1).let_go(gone)
    assert not Fence(2).let_go(gone)
    assert not Fence(1).admits(gone)
    assert not Fence(1).let_go(TURN)


def test_the_next_run_goes_on_where_the_last_one_stopped() -> None:
    failed = replace(
        TURN,
        state=TurnState.FAILED,
        next_seq=4,
        cancel=EndReason.ABANDONED,
        reason=EndReason.ABANDONED,
        error=TurnFailure("TURN_ABANDONED", ""),
        rerunnable=True,
        ended_at=NOON,
    )
    later = NOON + timedelta(seconds=60)
    again = run_again(failed, owner=BootId("c"), nonce="m", lease_until=later, deadline_at=later)
    assert (again.state, again.run, again.epoch, again.next_seq) == (TurnState.RUNNING, 2, 2, 4)
    assert (again.owner, again.claim_nonce, again.deadline_at) == ("c", "m", later)
    assert (again.cancel, again.error, again.reason, again.ended_at) == (None, None, None, None)
    assert not again.rerunnable
    assert not Fence(1).admits(again)
