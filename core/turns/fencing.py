"""Who may write to a turn: the run that holds its epoch, while it is RUNNING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from core.identifiers import BootId, TurnId
from core.replacing import replaced
from core.turns.rows import EndReason, LoggedEvent, Turn, TurnState


class Standing(Enum):
    """What the store says to a runner's write."""

    APPLIES = "applies"
    APPLIED_BEFORE = "applied before"
    """The reply to an earlier try was lost; it had been committed."""
    STALE = "stale"
    """Another has the turn, or it has ended: this runner may write and send nothing more."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A runner's claim to a turn: the epoch that it was given."""

    epoch: int

    def admits(self, turn: Turn | None) -> bool:
        """Whether the row is still this runner's to write."""
        return turn is not None and turn.epoch == self.epoch and turn.state is TurnState.RUNNING

    def let_go(self, turn: Turn | None) -> bool:
        """Whether this very runner has ended the turn, or let it wait, though it did not hear."""
        return turn is not None and turn.epoch == self.epoch and turn.state is not TurnState.RUNNING


def standing_of_append(turn: Turn | None, fence: Fence, first: int, count: int) -> Standing:
    """How an append of `count` events from number `first` meets the locked row."""
    if turn is None or not fence.admits(turn):
        return Standing.STALE
    if turn.next_seq == first:
        return Standing.APPLIES
    if turn.next_seq == first + count:
        return Standing.APPLIED_BEFORE
    return Standing.STALE


def appended(turn: Turn, events: Sequence[LoggedEvent], *, released: bool) -> Turn:
    """The row after an append."""
    return replaced(turn, next_seq=turn.next_seq + len(events), released=turn.released or released)


class Extension(NamedTuple):
    """A runner's append as a store can do it without showing the row.

    By the holder of `epoch`: `added` events (none: a renewal) from number `first` on, where nobody
    has asked for anything of the turn but for what its runner knows: `cancel` and `detach`.
    """

    turn: TurnId
    epoch: int
    first: int
    added: int
    released: bool
    cancel: EndReason | None = None
    detach: bool = False


def extended(turn: Turn, by: Extension) -> Turn | None:
    """The row after it; None where it does not apply, and somebody has to look at the row."""
    if standing_of_append(turn, Fence(by.epoch), by.first, by.added) is not Standing.APPLIES:
        return None
    if (turn.cancel, turn.detach) != (by.cancel, by.detach):
        return None
    return replaced(turn, next_seq=turn.next_seq + by.added, released=turn.released or by.released)


def run_again(
    turn: Turn, *, owner: BootId, nonce: str, lease_until: datetime, deadline_at: datetime
) -> Turn:
    """The row of a failed turn that starts its next run; numbers of events go on."""
    return replaced(
        turn,
        state=TurnState.RUNNING,
        run=turn.run + 1,
        epoch=turn.epoch + 1,
        owner=owner,
        claim_nonce=nonce,
        lease_until=lease_until,
        deadline_at=deadline_at,
        cancel=None,
        error=None,
        reason=None,
        rerunnable=False,
        ended_at=None,
    )
