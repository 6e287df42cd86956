"""How a run ends: what the turn becomes, whether it may run again, what is booked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.generation import TokenUsage
from core.identifiers import Seconds
from core.replacing import replaced
from core.turns.rows import Attempt, EndReason, Turn, TurnFailure, TurnState

_ALWAYS_FAILED = (EndReason.ERROR, EndReason.DEADLINE)
_FAILED_IF_NOTHING_SHOWN = (EndReason.INTERRUPTED, EndReason.ABANDONED)

BYTES_PER_TOKEN_FLOOR = 3
"""An estimate must not be above what was really written: few tokens are longer than this."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What settlement writes into the turn's row."""

    state: TurnState
    reason: EndReason
    failure: TurnFailure | None
    rerunnable: bool


def outcome(turn: Turn, reason: EndReason | None, failure: TurnFailure | None) -> Outcome:
    """The end of this run, alike for its owner and for whoever takes over.

    `turn` is the locked row. A cancel that is in it wins over the runner's own `reason`; a
    runner that left none (it died) was INTERRUPTED. A turn fails where there is nothing to
    show for it, and may run again only where nothing was released or done.
    """
    ended_by = turn.cancel or reason or EndReason.INTERRUPTED
    shown = turn.released or turn.done
    failed = ended_by in _ALWAYS_FAILED or (ended_by in _FAILED_IF_NOTHING_SHOWN and not shown)
    if not failed:
        return Outcome(TurnState.FINISHED, ended_by, None, rerunnable=False)
    told = failure if failure and ended_by is reason else _failure_of(ended_by)
    return Outcome(TurnState.FAILED, ended_by, told, rerunnable=not shown)


def settled(turn: Turn, end: Outcome, now: datetime) -> Turn:
    """The row after settlement; the numbers of its closing events are not counted in yet."""
    return replaced(
        turn,
        state=end.state,
        reason=end.reason,
        error=end.failure,
        rerunnable=end.rerunnable,
        ended_at=now,
    )


def may_be_taken_over(turn: Turn, now: datetime, hard: Seconds) -> bool:
    """Whether anyone may settle this turn: its lease ran out, or its owner is past all limits."""
    if turn.state is not TurnState.RUNNING:
        return False
    return turn.lease_until < now or is_overdue(turn, now, hard)


def is_overdue(turn: Turn, now: datetime, hard: Seconds) -> bool:
    """Whether the turn is past its deadline by the hard limit, which no renewal outlasts."""
    return turn.deadline_at + timedelta(seconds=hard) < now


def may_run_again(turn: Turn) -> bool:
    """Whether the same request, sent again, starts another run of this turn."""
    return (
        turn.state is TurnState.FAILED and turn.rerunnable and not turn.released and not turn.done
    )


def unbooked(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """The attempts that settlement has to book."""
    return tuple([attempt for attempt in attempts if not attempt.booked])


def bookable_usage(attempt: Attempt) -> tuple[TokenUsage, bool]:
    """What to book for an attempt, and whether that is an estimate.

    Without the provider's own figures: the bound counted before the call, and the output that
    was received.
    """
    used = attempt.used
    if used is not None and used.prompt is not None and used.completion is not None:
        return used, False
    received = -(-attempt.output_bytes // BYTES_PER_TOKEN_FLOOR)
    known = used or TokenUsage()
    prompt = attempt.prompt_tokens if known.prompt is None else known.prompt
    completion = received if known.completion is None else known.completion
    return replace(known, prompt=prompt, completion=completion), True


def _failure_of(reason: EndReason) -> TurnFailure:
    return _FAILURES[reason]


_FAILURES = {
    EndReason.INTERRUPTED: TurnFailure(
        "TURN_INTERRUPTED",
        "the process that ran this turn died before it had released anything; "
        "send the request again with the same request_id",
        retry_after=Seconds(0.5),
    ),
    EndReason.ABANDONED: TurnFailure(
        "TURN_ABANDONED",
        "every reader left before anything was released; "
        "send the request again with the same request_id",
    ),
    EndReason.DEADLINE: TurnFailure(
        "DEADLINE_EXCEEDED",
        "the turn did not end by its deadline; give it a longer one, or detach it",
    ),
    EndReason.ERROR: TurnFailure("INTERNAL", "the turn failed for a reason that is a bug"),
}
