"""A turn that waits for an approval, and who runs it on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import BootId, Seconds
from core.turns.fencing import Fence
from core.turns.outcome import may_be_taken_over
from core.turns.rows import Decision, EndReason, Turn, TurnState
from core.turns.stopping import cancelled, may_abandon
from core.turns.waiting import NOBODY, decided, may_decide, may_wait, may_wake, waiting, woken
from fakes.turn_rows import RUNNING, at

WAITING = waiting(RUNNING, "approval-1", at(100), at(1))


def _woken(turn: Turn) -> Turn:
    return woken(turn, owner=BootId("c"), nonce="m", lease_until=at(205), deadline_at=at(800))


def test_it_has_no_owner_and_outlives_its_readers() -> None:
    assert (WAITING.state, WAITING.owner, WAITING.detach) == (TurnState.WAITING, NOBODY, True)
    assert (WAITING.approval, WAITING.wait_until) == ("approval-1", at(100))
    assert not Fence(1).admits(WAITING)
    assert not may_abandon(WAITING, local_readers=0, remote_readers=False)


def test_it_is_nobodys_to_take_over() -> None:
    assert not may_be_taken_over(WAITING, at(10_000), Seconds(10))


@pytest.mark.parametrize("cancel", [EndReason.CANCELLED, EndReason.ABANDONED])
def test_one_that_is_to_stop_does_not_wait(cancel: EndReason) -> None:
    assert may_wait(RUNNING)
    assert not may_wait(replace(RUNNING, cancel=cancel))
    assert not may_wait(WAITING)


@given(st.sampled_from([None, *Decision]), st.floats(0, 300), st.booleans())
def test_it_wakes_once_it_is_decided_or_expired(
    decision: Decision | None, now: float, stopped: bool
) -> None:
    row = replace(WAITING, decision=decision)
    row = cancelled(row) if stopped else row
    assert may_wake(row, at(now)) is (not stopped and (decision is not None or now > 100))


def test_it_is_decided_once_and_by_its_name() -> None:
    assert may_decide(WAITING, "approval-1")
    assert not may_decide(WAITING, "approval-2")
    assert not may_decide(RUNNING, "")
    assert not may_decide(decided(WAITING, Decision.DENIED), "approval-1")
    assert not may_decide(cancelled(WAITING), "approval-1")


@pytest.mark.parametrize("decision", [Decision.APPROVED, Decision.DENIED])
def test_who_wakes_it_owns_it_under_a_new_epoch(decision: Decision) -> None:
    row = _woken(decided(WAITING, decision))
    assert (row.state, row.epoch, row.run) == (TurnState.RUNNING, 2, 1)
    assert (row.owner, row.claim_nonce, row.deadline_at) == ("c", "m", at(800))
    assert (row.decision, row.wait_until, row.detach) == (decision, None, True)
    assert not may_wake(row, at(10_000))
    assert not Fence(1).let_go(row)


def test_an_approval_that_nobody_gave_has_expired() -> None:
    assert _woken(WAITING).decision is Decision.EXPIRED
