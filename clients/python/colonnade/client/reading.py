"""Decides how one turn is read to its end over any number of connections. No I/O, no clock.

A driver makes the call that `Progress` asks for, hands what arrives to `receive`, and when the
call ends before the turn asks `after_break` what comes next:

    StreamChat ──first event──▶ events ──▶ finished
        ▲  │ broken before it       │ broken
        └──┘ same request_id        ▼
                                 ResumeChat after the last sequence number
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import grpc

from colonnade.client.errors import Failure, error_of
from colonnade.client.retrying import RetryPolicy, passes, pause
from colonnade.v1.turns_pb2 import TurnEvent

TRUNCATED = Failure(
    grpc.StatusCode.UNAVAILABLE, "the stream ended before the turn did, without an error"
)
GAP = Failure(grpc.StatusCode.UNAVAILABLE, "the stream left out events of the turn")

_ANSWER = frozenset(
    {"delta", "citation", "retracted", "tool_proposed", "approval_required", "tool_result"}
)
_RERUNNABLE = "rerunnable"
"""In the metadata of an error that is the turn's own; one of the call alone has it not."""
_LASTING_CAUSES = frozenset({"authentication", "bad_request", "weights_missing"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a turn has been read.

    `last` is the highest sequence number that has arrived. `asking`: the next call asks for the
    turn (StreamChat) rather than reading on. `may_ask`: there is a request to ask with. `silent`
    counts the calls in a row that brought nothing new.
    """

    turn_id: str = ""
    last: int = 0
    asking: bool = True
    may_ask: bool = True
    released: bool = False
    finished: bool = False
    silent: int = 0
    reruns: int = 0
    rereads: int = 0

    @classmethod
    def joining(cls, turn_id: str, after: int) -> Progress:
        """Of a reader who comes to a turn that exists, and has its events up to `after`."""
        return cls(turn_id=turn_id, last=after, asking=False, may_ask=False)


@dataclass(frozen=True, slots=True)
class Received:
    """What a message of the stream brought. `gap`: events are missing before the rest of it."""

    progress: Progress
    fresh: tuple[TurnEvent, ...]
    gap: bool


@dataclass(frozen=True, slots=True)
class Again:
    """Make another call after `wait` seconds."""

    progress: Progress
    wait: float


def receive(progress: Progress, events: Iterable[TurnEvent]) -> Received:
    """Take one message: what is new in it, in order, each event once."""
    fresh: list[TurnEvent] = []
    for event in events:
        if event.sequence > progress.last + 1:
            return Received(progress, tuple(fresh), gap=True)
        if event.sequence == progress.last + 1 and not progress.finished:
            fresh.append(event)
            progress = _advanced(progress, event)
        elif progress.turn_id:
            # Repeats of what is there show that the turn runs, and can be read on.
            progress = replace(progress, asking=False)
    return Received(progress, tuple(fresh), gap=False)


def _advanced(progress: Progress, event: TurnEvent) -> Progress:
    kind = event.WhichOneof("kind")
    turn_id = event.started.turn_id if kind == "started" else progress.turn_id
    return replace(
        progress,
        turn_id=turn_id,
        last=event.sequence,
        asking=not turn_id,
        released=kind != "started" and (progress.released or kind in _ANSWER),
        finished=kind == "finished",
        silent=0,
    )


def after_break(
    progress: Progress, failure: Failure | None, policy: RetryPolicy, draw: float, left: float
) -> Again:
    """What to do when a call has ended before `finished` came; `failure` None: with OK.

    `left` is how many seconds the caller's deadline leaves. Raises the failure as a
    ColonnadeError where another call can't help, or not in time.
    """
    failure = failure or TRUNCATED
    following = _following(progress, failure)
    if following is not None and _worth_it(following, failure, policy):
        wait = pause(following.silent + 1, failure.retry_after, policy, draw)
        if wait < left:
            return Again(following, wait)
    raise error_of(_told(failure, progress))


def _following(progress: Progress, failure: Failure) -> Progress | None:
    silent = replace(progress, silent=progress.silent + 1)
    if failure.reason == "TURN_LOG_LOST":
        return replace(silent, last=0, released=False, rereads=progress.rereads + 1)
    if _may_run_again(progress, failure):
        return replace(silent, asking=True, reruns=progress.reruns + 1)
    if _RERUNNABLE in failure.metadata:
        return None  # the turn itself has failed: to read it again would tell the same for ever
    return silent if passes(failure) else None


def _may_run_again(progress: Progress, failure: Failure) -> bool:
    """True where the turn itself failed, and asking again runs it anew.

    Nothing of an answer may have been released. Where all models failed, the server has tried
    each of them already: another run needs its advice on when, and one that may work then.
    """
    if progress.released or not progress.may_ask:
        return False
    if failure.reason == "MODELS_UNAVAILABLE":
        hopeless = {attempt.cause for attempt in failure.attempts} <= _LASTING_CAUSES
        return failure.retry_after is not None and not (failure.attempts and hopeless)
    ended_by_chance = failure.reason in ("TURN_INTERRUPTED", "TURN_ABANDONED") or passes(failure)
    return ended_by_chance and failure.metadata.get(_RERUNNABLE) == "true"


def _worth_it(progress: Progress, failure: Failure, policy: RetryPolicy) -> bool:
    return (
        progress.silent < _attempts(progress, failure, policy)
        and progress.reruns <= policy.reruns
        # A log that is lost twice will be lost again.
        and progress.rereads <= 1
    )


def _attempts(progress: Progress, failure: Failure, policy: RetryPolicy) -> int:
    if progress.turn_id:
        return policy.resume_attempts
    return policy.busy_attempts if failure.reason else policy.start_attempts


def _told(failure: Failure, progress: Progress) -> Failure:
    """The failure, with the turn that it is about, so that the caller can look at it."""
    if not progress.turn_id or "turn_id" in failure.metadata:
        return failure
    return replace(failure, metadata={**failure.metadata, "turn_id": progress.turn_id})
