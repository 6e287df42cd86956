"""Who may end a turn that runs: its caller, always; its owner, where nobody reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.turns.outcome import outcome
from core.turns.rows import EndReason, Turn, TurnState
from core.turns.stopping import abandoned, cancelled, may_abandon
from fakes.turn_rows import RUNNING

ABANDONED = replace(RUNNING, cancel=EndReason.ABANDONED)


@pytest.mark.parametrize("row", [RUNNING, ABANDONED, replace(RUNNING, state=TurnState.WAITING)])
def test_a_cancel_wins_over_everything_but_an_end(row: Turn) -> None:
    assert cancelled(row).cancel is EndReason.CANCELLED


@pytest.mark.parametrize("state", [TurnState.FINISHED, TurnState.FAILED])
def test_what_has_ended_is_not_cancelled(state: TurnState) -> None:
    ended = replace(RUNNING, state=state)
    assert cancelled(ended) == ended


@given(st.integers(0, 3), st.booleans(), st.booleans(), st.sampled_from(TurnState))
def test_only_what_nobody_reads_and_nobody_detached_is_abandoned(
    local: int, remote: bool, detach: bool, state: TurnState
) -> None:
    row = replace(RUNNING, detach=detach, state=state)
    expected = state is TurnState.RUNNING and not (local or remote or detach)
    assert may_abandon(row, local_readers=local, remote_readers=remote) is expected


def test_a_cancel_that_came_first_stands() -> None:
    assert abandoned(RUNNING).cancel is EndReason.ABANDONED
    assert abandoned(cancelled(RUNNING)).cancel is EndReason.CANCELLED


@given(st.booleans(), st.sampled_from([None, EndReason.STOP, EndReason.ERROR]))
def test_cancelled_with_nothing_released_is_finished_and_never_runs_again(
    released: bool, reason: EndReason | None
) -> None:
    end = outcome(cancelled(replace(ABANDONED, released=released)), reason, None)
    assert (end.state, end.reason, end.rerunnable) == (
        TurnState.FINISHED,
        EndReason.CANCELLED,
        False,
    )
