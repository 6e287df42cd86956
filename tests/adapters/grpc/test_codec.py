"""Turn events as bytes: what goes in comes out, and pieces put together are a message."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.grpc.codec import ProtobufCodec
from colonnade.v1.turns_pb2 import Retracted, TurnEvent, TurnEvents
from core.generation import TokenUsage
from core.grounding.citations import Citation
from core.grounding.verdict import AnsweredBy, Remark, Verdict, VerdictStatus
from core.identifiers import (
    ChunkId,
    CollectionName,
    ConversationId,
    DeploymentName,
    DocumentId,
    MessageId,
    RequestId,
    Seconds,
    TurnId,
)
from core.knowledge import Chunk, Passage
from core.turns.events import (
    AttemptUsed,
    Cited,
    Finished,
    Latencies,
    Reasoning,
    Retrieved,
    Started,
    Switched,
    Text,
    Validated,
)
from core.turns.events import TurnEvent as Event
from core.turns.rows import EndReason, TurnFailure

CODEC = ProtobufCodec()
DOCUMENT, DOCS = DocumentId("doc_1"), CollectionName("docs")
PASSAGE = Passage(
    Chunk(ChunkId("chunk-1"), DOCUMENT, 0, "", 3, 40, ("桥", "Details")), DOCS, "桥", "b.md", 0.5
)
CITATION = Citation(
    start_byte=0,
    end_byte=7,
    cited_text="",
    number=2,
    chunk=ChunkId("chunk-1"),
    document=DOCUMENT,
    title="桥",
    uri="b.md",
    source_start=3,
    source_end=9,
    quote="Bridge 🌉",
    collection=DOCS,
)
FAILURE = TurnFailure(
    "MODELS_UNAVAILABLE",
    "no model could answer",
    (("attempt:paced", "timeout"), ("turn_id", "t")),
    retry_after=Seconds(1.5),
)
TALK, MESSAGE = ConversationId("conv_1"), MessageId("msg_1")

EVENTS: list[Event] = [
    Started(TurnId("turn_1"), 1, "chat@1", "strong", RequestId("r1"), TALK, MESSAGE),
    Started(TurnId("turn_1"), 2, "chat@1", "", RequestId("r1"), None, None, FAILURE),
    Retrieved((PASSAGE,), degraded=True),
    Retrieved((), degraded=False),
    Text("好 👋"),
    Text(""),
    Reasoning("hm"),
    Cited(CITATION),
    AttemptUsed(1, DeploymentName("a"), TokenUsage(3, 4, 1, 2), False, Decimal("0.000012"), "USD"),
    AttemptUsed(2, DeploymentName("b"), TokenUsage(), True, None, ""),
    AttemptUsed(3, DeploymentName("c"), TokenUsage(0, 0), False, Decimal(0), "EUR"),
    Switched(DeploymentName("a"), DeploymentName("b"), 1, "timeout"),
    Validated(
        Verdict(VerdictStatus.REPAIRED, AnsweredBy.REPAIR, (Remark("uncited", "cites nothing"),))
    ),
    Validated(Verdict(VerdictStatus.REFUSED, AnsweredBy.EXTRACTION, ())),
    *(
        Finished(
            reason,
            "strong",
            TokenUsage(5, 6, 0, 0),
            False,
            Decimal("1234567.000001"),
            "USD",
            Latencies(Seconds(0.1), Seconds(0.25), Seconds(1.5), Seconds(2.0)),
            MESSAGE,
            TALK,
        )
        for reason in EndReason
        if reason is not EndReason.ERROR
    ),
    Finished(EndReason.CANCELLED, "", TokenUsage(), False, None, "", Latencies(), None, None),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_goes_in_comes_out(event: Event) -> None:
    assert CODEC.decode(CODEC.encode(7, event)) == [(7, event)]


def test_events_put_together_are_one_message() -> None:
    encoded = b"".join(CODEC.encode(number, event) for number, event in enumerate(EVENTS, 1))
    message = TurnEvents.FromString(encoded)
    assert [event.sequence for event in message.events] == list(range(1, len(EVENTS) + 1))
    assert message.SerializeToString(deterministic=True) == encoded
    assert CODEC.decode(encoded) == list(enumerate(EVENTS, 1))


def test_a_long_event_is_measured_right() -> None:
    for length in (127, 128, 16_383, 16_384, 300_000):
        text = Text("x" * length)
        assert CODEC.decode(CODEC.encode(1, text)) == [(1, text)]


def test_kinds_of_a_later_contract_are_left_out() -> None:
    later = TurnEvents(
        events=[TurnEvent(sequence=1, retracted=Retracted(from_sequence=1)), TurnEvent(sequence=2)]
    )
    assert CODEC.decode(later.SerializeToString() + CODEC.encode(3, Text("a"))) == [(3, Text("a"))]
