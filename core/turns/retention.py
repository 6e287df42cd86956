"""How long a turn that has ended keeps its request id, and then its log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.identifiers import Seconds
from core.turns.rows import Turn

LEAST_LEAD = Seconds(3600.0)
"""A log outlives its request id by so much: who repeats a request must find what came of it."""


def may_forget(turn: Turn, now: datetime, keep: Seconds) -> bool:
    """Whether its request id may stand for nothing again: so long after the end, never before."""
    return not turn.forgotten and _ended_before(turn, now, keep)


def forgotten(turn: Turn) -> Turn:
    """The row of a turn that no request can reach any more, nor run again."""
    return replace(turn, forgotten=True, rerunnable=False)


def may_compact(turn: Turn, now: datetime, keep: Seconds) -> bool:
    """Whether its events may go: its id is forgotten, and so much time has passed."""
    kept = turn.log_from < turn.next_seq
    return kept and turn.forgotten and _ended_before(turn, now, keep)


def compacted(turn: Turn) -> Turn:
    """The row of a turn without its events; their numbers are never used again."""
    return replace(turn, log_from=turn.next_seq)


def _ended_before(turn: Turn, now: datetime, keep: Seconds) -> bool:
    return (
        turn.state.ended
        and turn.ended_at is not None
        and turn.ended_at + timedelta(seconds=keep) < now
    )
