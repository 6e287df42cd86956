from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.sse import LONGEST_EVENT, SseEvent, SseParser
from core.generation import ModelError, ModelErrorKind

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*/*.sse"))


def parse(*received: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for piece in received for event in parser.feed(piece)]


def reference(stream: str) -> list[SseEvent]:
    """The standard's algorithm, word by word, on the whole stream as text."""
    text = stream.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    *lines, _ = text.split("\n")
    events: list[SseEvent] = []
    data, kind = "", ""
    for line in lines:
        if not line:
            if data:
                events.append(SseEvent(data[:-1].encode(), kind))
            data, kind = "", ""
            continue
        name, colon, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            data += value + "\n"
        elif name == "event" and (colon or not value):
            kind = value
    return events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [SseEvent(b"one"), SseEvent(b"two")]),
        (b"data: one\r\n\r\ndata: two\r\r", [SseEvent(b"one"), SseEvent(b"two")]),
        (b"data: one\ndata:  two\ndata\n\n", [SseEvent(b"one\n two\n")]),
        (b": a comment\n\n:\n\ndata:x\n\n", [SseEvent(b"x")]),
        (b"event: error\ndata: {}\n\ndata: y\n\n", [SseEvent(b"{}", "error"), SseEvent(b"y")]),
        (b"id: 7\nretry: 10\nnonsense\ndata: z\n\n", [SseEvent(b"z")]),
        (b"event: ping\n\ndata: after\n\n", [SseEvent(b"after")]),
        (b"\xef\xbb\xbfdata: marked\n\n", [SseEvent(b"marked")]),
        (b"data: cut off", []),
        (b"data: cut off\n", []),
        (b"\n\n\n", []),
        (b"", []),
    ],
    ids=repr,
)
def test_events_of_a_stream(stream: bytes, events: list[SseEvent]) -> None:
    assert parse(stream) == events
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_an_event_comes_with_its_last_byte() -> None:
    parser = SseParser()
    assert parser.feed(b"data: [DONE]\n") == []
    assert parser.feed(b"\n") == [SseEvent(b"[DONE]")]
    assert parser.feed(b"data: next\r\n\r") == [SseEvent(b"next")]
    assert parser.feed(b"\ndata: last\r\n\r\n") == [SseEvent(b"last")]


LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "", "data", "data:", ": note", "event: error", "event:", "id: 1"]),
        st.text(st.characters(blacklist_characters="\r\n", codec="utf-8")).map("data: {}".format),
        st.text(st.characters(blacklist_characters="\r\n", codec="utf-8")),
    )
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=4), st.data())
def test_any_split_gives_what_the_standard_says(
    parts: list[tuple[list[str], str]], data: st.DataObject
) -> None:
    stream = "".join(line + end for lines, end in parts for line in lines)
    encoded = stream.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=12)))
    edges = [0, *cuts, len(encoded)]
    pieces = [encoded[a:b] for a, b in itertools.pairwise(edges)]
    assert parse(*pieces) == reference(stream)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_give_what_the_standard_says(recording: Path) -> None:
    stream = recording.read_bytes()
    assert parse(stream) == reference(stream.decode())


@pytest.mark.parametrize(
    "stream", [b"x" * 1000, b"data: " + b"x" * 994, b"data: " + b"x" * 993 + b"\n"], ids=len
)
def test_an_event_without_an_end_is_refused(stream: bytes) -> None:
    parser = SseParser()
    with pytest.raises(ModelError, match="without an end") as caught:
        _feed_for_ever(parser, stream)
    assert caught.value.kind is ModelErrorKind.MALFORMED_STREAM


def _feed_for_ever(parser: SseParser, stream: bytes) -> None:
    for _ in range(LONGEST_EVENT):
        parser.feed(stream)
