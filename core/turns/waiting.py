"""A turn that waits for somebody's approval: it has no owner, no lease and no deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.identifiers import BootId
from core.turns.rows import Decision, Turn, TurnState

NOBODY = BootId("")
"""The owner of a turn that waits."""


def may_wait(turn: Turn) -> bool:
    """Whether a run may give its turn up to wait: nobody has asked it to stop."""
    return turn.state is TurnState.RUNNING and turn.cancel is None


def waiting(turn: Turn, approval: str, until: datetime, now: datetime) -> Turn:
    """The row of a turn that waits for an approval until then; it outlives its readers."""
    return replace(
        turn,
        state=TurnState.WAITING,
        owner=NOBODY,
        claim_nonce="",
        lease_until=now,
        detach=True,
        approval=approval,
        wait_until=until,
        decision=None,
    )


def may_decide(turn: Turn, approval: str) -> bool:
    """Whether this approval is still to be decided."""
    waits = turn.state is TurnState.WAITING and turn.approval == approval
    return waits and turn.decision is None and turn.cancel is None


def decided(turn: Turn, decision: Decision) -> Turn:
    """The row with what came of the approval."""
    return replace(turn, decision=decision)


def may_wake(turn: Turn, now: datetime) -> bool:
    """Whether any replica may run the turn on: it is decided, or has waited long enough."""
    if turn.state is not TurnState.WAITING or turn.cancel is not None:
        return False
    expired = turn.wait_until is not None and turn.wait_until < now
    return turn.decision is not None or expired


def woken(
    turn: Turn, *, owner: BootId, nonce: str, lease_until: datetime, deadline_at: datetime
) -> Turn:
    """The row of a turn that goes on; an approval that nobody gave has expired."""
    return replace(
        turn,
        state=TurnState.RUNNING,
        epoch=turn.epoch + 1,
        owner=owner,
        claim_nonce=nonce,
        lease_until=lease_until,
        deadline_at=deadline_at,
        wait_until=None,
        decision=turn.decision or Decision.EXPIRED,
    )
