"""How long an ended turn keeps its id, and its log."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import Seconds
from core.turns.outcome import may_run_again
from core.turns.retention import compacted, forgotten, may_compact, may_forget
from core.turns.rows import Turn, TurnState
from fakes.turn_rows import RUNNING, at

DAY = Seconds(86_400.0)
rows = st.builds(
    lambda state, ended, forgotten, kept: replace(
        RUNNING,
        state=state,
        ended_at=at(ended) if state.ended else None,
        forgotten=forgotten,
        next_seq=5,
        log_from=1 if kept else 5,
    ),
    st.sampled_from(TurnState),
    st.floats(0, 1e6),
    st.booleans(),
    st.booleans(),
)


@given(rows, st.floats(0, 2e6))
def test_an_id_goes_only_so_long_after_the_end(row: Turn, now: float) -> None:
    if may_forget(row, at(now), DAY):
        assert row.state.ended
        assert row.ended_at is not None
        assert (at(now) - row.ended_at).total_seconds() > DAY
        assert not row.forgotten


@given(rows, st.floats(0, 2e6))
def test_a_log_goes_only_after_its_id(row: Turn, now: float) -> None:
    if may_compact(row, at(now), DAY):
        assert row.forgotten
        assert row.log_from < row.next_seq
        assert not may_compact(compacted(row), at(now), DAY)


def test_a_turn_of_any_length_keeps_its_id_while_it_lasts() -> None:
    for state in (TurnState.RUNNING, TurnState.WAITING):
        assert not may_forget(replace(RUNNING, state=state), at(1e9), DAY)


def test_what_is_forgotten_does_not_run_again() -> None:
    failed = replace(RUNNING, state=TurnState.FAILED, rerunnable=True, ended_at=at(1))
    assert may_run_again(failed)
    assert not may_run_again(forgotten(failed))
    assert not may_forget(forgotten(failed), at(1e9), DAY)


def test_numbers_are_not_used_again() -> None:
    row = compacted(replace(RUNNING, state=TurnState.FINISHED, next_seq=9))
    assert (row.log_from, row.next_seq) == (9, 9)
