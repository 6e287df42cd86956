"""The codec of turn events: what goes into the log comes out of it, byte for byte on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.grpc.codec import ProtobufCodec
from colonnade.v1 import messages_pb2, turns_pb2
from core.errors import Reason
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
    ApprovalRequired,
    AttemptUsed,
    Cited,
    Finished,
    Latencies,
    Reasoning,
    Retracted,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
)
from core.turns.rows import EndReason, TurnFailure

codec = ProtobufCodec()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,20}", fullmatch=True)
names = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)
counts = st.none() | st.integers(0, 2**31 - 1)
usages = st.builds(TokenUsage, counts, counts, counts, counts)
money = st.decimals(0, 1000, places=9, allow_nan=False)
times = st.none() | st.integers(0, 10**6).map(lambda eighths: Seconds(eighths / 8))
places = st.integers(0, 10**6)
moments = st.integers(0, 2**53).map(lambda us: _EPOCH + timedelta(microseconds=us))

failures = st.builds(
    TurnFailure,
    st.sampled_from([reason.value for reason in Reason]),
    text,
    st.dictionaries(st.sampled_from(["turn_id", "attempt:m", "attempt:n", "kind"]), text).map(
        lambda metadata: tuple(sorted(metadata.items()))
    ),
    times,
)
started = st.builds(
    Started,
    ids.map(TurnId),
    st.integers(1, 9),
    text,
    text,
    text.map(RequestId),
    st.none(),
    st.none(),
    st.none() | failures,
)
in_conversation = st.builds(
    lambda event, talk, message: replace(event, conversation=talk, user_message=message),
    started,
    ids.map(ConversationId),
    ids.map(MessageId),
)


@st.composite
def passages(draw: st.DrawFn) -> Passage:
    """A passage as the log keeps it: without its text."""
    chunk = Chunk(
        ChunkId(draw(ids)),
        DocumentId(draw(ids)),
        0,
        "",
        draw(places),
        draw(places),
        tuple(draw(st.lists(text, max_size=3))),
    )
    score = draw(st.floats(-1, 1, width=32))
    return Passage(chunk, CollectionName(draw(names)), draw(text), draw(text), score)


@st.composite
def citations(draw: st.DrawFn) -> Citation:
    """A citation as the log keeps it: the words of the source, not those of the answer."""
    quoted = draw(st.booleans())
    return Citation(
        draw(places),
        draw(places),
        "",
        draw(st.integers(1, 20)),
        ChunkId(draw(ids)),
        DocumentId(draw(ids)),
        draw(text),
        draw(text),
        draw(places) if quoted else None,
        draw(places) if quoted else None,
        (draw(text) or "quoted") if quoted else "",
        CollectionName(draw(names)),
        tuple(draw(st.lists(text, max_size=3))),
    )


verdicts = st.builds(
    Verdict,
    st.sampled_from(VerdictStatus),
    st.sampled_from(AnsweredBy),
    st.lists(st.builds(Remark, text, text), max_size=3).map(tuple),
)
events: st.SearchStrategy[TurnEvent] = st.one_of(
    started,
    in_conversation,
    st.builds(Retrieved, st.lists(passages(), max_size=3).map(tuple), st.booleans()),
    st.builds(Text, text),
    st.builds(Reasoning, text),
    st.builds(Cited, citations()),
    st.builds(Switched, names.map(DeploymentName), names.map(DeploymentName), places, text),
    st.builds(
        AttemptUsed,
        st.integers(1, 99),
        names.map(DeploymentName),
        usages,
        st.booleans(),
        money,
        st.just("USD"),
    ),
    st.builds(
        ApprovalRequired,
        ids,
        ids,
        text,
        moments,
    ),
    st.builds(Validated, verdicts),
    st.builds(
        Finished,
        st.sampled_from(EndReason),
        names,
        usages,
        st.booleans(),
        money,
        st.just("EUR"),
        st.builds(Latencies, times, times, times, times),
        st.none(),
        st.none(),
    ),
)
numbered = st.lists(events, max_size=6).map(lambda each: list(enumerate(each, start=1)))


@given(st.integers(1, 2**40), events)
def test_what_goes_in_comes_out(number: int, event: TurnEvent) -> None:
    ((decoded, back),) = codec.decode(codec.encode(number, event))
    assert decoded == number
    assert back == event
    assert codec.encode(decoded, back) == codec.encode(number, event)


@given(numbered)
def test_events_one_after_another_are_one_message(log: list[tuple[int, TurnEvent]]) -> None:
    joined = b"".join(codec.encode(number, event) for number, event in log)
    message = turns_pb2.TurnEvents.FromString(joined)
    assert [event.sequence for event in message.events] == [number for number, _ in log]
    assert list(codec.decode(joined)) == log
    assert message.SerializeToString() == joined


@pytest.mark.parametrize("answer", ["渡船每天六点开航。", "🚢 leaves", "naïve — “ok”", "\x00", ""])
def test_text_of_any_script_survives(answer: str) -> None:
    assert codec.decode(codec.encode(1, Text(answer))) == [(1, Text(answer))]


def test_offsets_count_bytes_and_characters_as_they_were_given() -> None:
    answer, source = "价格：5元 🚢。", "文档：价格是5元 🚢。"
    cited = Cited(
        Citation(
            start_byte=len("价格：".encode()),
            end_byte=len(answer.encode()),
            cited_text="",
            number=1,
            chunk=ChunkId("c"),
            document=DocumentId("d"),
            title="价目表",
            uri="file:///价目.md",
            source_start=source.index("5"),
            source_end=len(source),
            quote=source[source.index("5") :],
            collection=CollectionName("docs"),
        )
    )
    ((_, back),) = codec.decode(codec.encode(7, cited))
    assert back == cited
    (event,) = turns_pb2.TurnEvents.FromString(codec.encode(7, cited)).events
    wire = event.citation
    assert answer.encode()[wire.start_byte : wire.end_byte].decode() == "5元 🚢。"
    assert source[wire.span.start_character : wire.span.end_character] == wire.cited_text


def test_the_end_in_a_conversation_names_the_answer() -> None:
    finished = Finished(
        EndReason.STOP,
        "m",
        TokenUsage(1, 2),
        False,
        Decimal("0.000001"),
        "USD",
        Latencies(),
        MessageId("msg-1"),
        ConversationId("talk"),
    )
    assert codec.decode(codec.encode(9, finished)) == [(9, finished)]


def test_an_unknown_cost_is_not_a_free_one() -> None:
    for cost in (None, Decimal(0)):
        used = AttemptUsed(1, DeploymentName("m"), TokenUsage(), True, cost, "USD")
        ((_, back),) = codec.decode(codec.encode(1, used))
        assert isinstance(back, AttemptUsed)
        assert back.cost == cost


def test_what_is_taken_back_is_all_from_the_first_event_on() -> None:
    encoded = codec.encode(5, Retracted("connection"))
    assert codec.decode(encoded) == [(5, Retracted("connection"))]
    (message,) = turns_pb2.TurnEvents.FromString(encoded).events
    assert message.retracted.from_sequence == 1


def test_a_kind_that_is_not_known_is_left_out() -> None:
    proposed = turns_pb2.TurnEvent(sequence=2, tool_proposed=messages_pb2.ToolCall())
    unknown = turns_pb2.TurnEvents(events=[proposed]).SerializeToString()
    log = codec.encode(1, Text("a")) + unknown + codec.encode(3, Text("b"))
    assert codec.decode(log) == [(1, Text("a")), (3, Text("b"))]
