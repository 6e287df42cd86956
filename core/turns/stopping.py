"""The wish that a turn ends: a caller's cancel, and an owner whom nobody reads."""

from __future__ import annotations

from dataclasses import replace

from core.turns.rows import EndReason, Turn, TurnState


def cancelled(turn: Turn) -> Turn:
    """The row once its caller wants it to stop; over ABANDONED too. What has ended stays."""
    return turn if turn.state.ended else replace(turn, cancel=EndReason.CANCELLED)


def may_abandon(turn: Turn, *, local_readers: int, remote_readers: bool) -> bool:
    """Whether its owner may give the turn up for want of readers.

    `local_readers` are those of the owner's replica at this moment, `remote_readers` whether
    another replica has a live row, read after the turn's row was locked.
    """
    read = local_readers > 0 or remote_readers
    return turn.state is TurnState.RUNNING and not (turn.detach or read)


def abandoned(turn: Turn) -> Turn:
    """The row of a turn that nobody waits for; a cancel that came first stands."""
    return replace(turn, cancel=turn.cancel or EndReason.ABANDONED)
