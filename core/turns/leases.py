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
    last, renewed_until = turn.deadline_at + timedelta(seconds=hard), now + timedelta(seconds=lease)
    return replaced(turn, lease_until=longer_lease(turn.lease_until, now, renewed_until, last))


def longer_lease(
    until: datetime, now: datetime, renewed_until: datetime, last: datetime
) -> datetime:
    """When the lease of a running turn ends that lasted `until` then, and is renewed now.

    None is left to have from `last` on: see may_renew.
    """
    return renewed_until if now < last and renewed_until > until else until
