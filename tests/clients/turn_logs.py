"""Events of turns, as a server would log them."""

from __future__ import annotations

from collections.abc import Iterable

from colonnade.v1.messages_pb2 import Citation
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_STOP,
    AttemptUsage,
    Delta,
    Finished,
    ProviderSwitched,
    Retracted,
    Retrieved,
    RetrievedChunk,
    Started,
    TurnEvent,
    TurnEvents,
    Validation,
)
from colonnade.v1.usage_pb2 import Money, Usage

TURN = "turn-1"

Body = (
    Started
    | Retrieved
    | Delta
    | Citation
    | Retracted
    | ProviderSwitched
    | AttemptUsage
    | Validation
    | Finished
)
_KINDS = {
    Started: "started",
    Retrieved: "retrieved",
    Delta: "delta",
    Citation: "citation",
    Retracted: "retracted",
    ProviderSwitched: "provider_switched",
    AttemptUsage: "usage",
    Validation: "validation",
    Finished: "finished",
}


def numbered(bodies: Iterable[Body], first: int = 1) -> list[TurnEvent]:
    """A log: the bodies with their sequence numbers."""
    return [_event(sequence, body) for sequence, body in enumerate(bodies, first)]


def _event(sequence: int, body: Body) -> TurnEvent:
    event = TurnEvent(sequence=sequence)
    slot = getattr(event, _KINDS[type(body)])
    slot.SetInParent()
    slot.CopyFrom(body)
    return event


def started(run: int = 1) -> Started:
    return Started(turn_id=TURN, run=run, request_id="r-1", prompt_version="chat@1")


def text(words: str) -> Delta:
    return Delta(text=words)


def found() -> Retrieved:
    return Retrieved(chunks=[RetrievedChunk(chunk_id="c-1", title="Limits", score=0.5)])


def cited(start: int, end: int, number: int = 1, title: str = "Limits") -> Citation:
    return Citation(
        start_byte=start,
        end_byte=end,
        number=number,
        title=title,
        uri=f"{title.lower()}.md",
        cited_text="kept for 24 hours",
    )


def validated() -> Validation:
    return Validation(status=Validation.STATUS_REPAIRED, answered_by=Validation.ANSWERED_BY_REPAIR)


def finished() -> Finished:
    return Finished(
        reason=FINISH_REASON_STOP,
        model="smollm2",
        usage=Usage(prompt_tokens=10, output_tokens=4),
        cost=Money(amount="0.00042", currency_code="USD"),
    )


def whole_turn(words: Iterable[str] = ("Ids ", "are ", "kept.")) -> list[TurnEvent]:
    """The log of a turn that answers with these words."""
    return numbered([started(), found(), *map(text, words), cited(0, 3), validated(), finished()])


def message(*events: TurnEvent) -> TurnEvents:
    return TurnEvents(events=events)
