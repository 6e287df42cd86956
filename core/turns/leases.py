"""The lease as its owner counts it: from before it asked, so that the store's ends later."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.identifiers import Seconds
from core.replacing import replaced
from core.turns.rows import Turn, TurnState


def local_lease_end(sent: Seconds, lease: Seconds, margin: Seconds) -> Seconds:
    """Until when the owner may call others, by its own clock, which must count suspension.

    `sent` is when it sent the write that renewed the lease: the store counted from later on.
    """
    return Seconds(sent + lease - margin)


def may_renew(turn: Turn, now: datetime, hard: Seconds) -> bool:
    """Whether the owner may still keep the turn: not past its deadline by the hard limit."""
    return turn.state is TurnState.RUNNING and now < turn.deadline_at + timedelta(seconds=hard)


def renewed(turn: Turn, now: datetime, lease: Seconds, hard: Seconds) -> Turn:
    """The row after any write of its owner; it stays as it is where no lease is left to have."""
    if not may_renew(turn, now, hard):
        return turn
    until = longer_lease(turn.lease_until, turn.deadline_at, now, lease, hard)
    return replaced(turn, lease_until=until)


def longer_lease(
    until: datetime, deadline: datetime, now: datetime, lease: Seconds, hard: Seconds
) -> datetime:
    """When the lease of a running turn ends that lasted `until` then, and is renewed now."""
    if now >= deadline + timedelta(seconds=hard):
        return until
    return max(until, now + timedelta(seconds=lease))
