"""Whatever a server sends, a reader makes events of it or an error of its kind: nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.anthropic_reader import MessageReader
from adapters.models.gemini_reader import CandidateReader
from adapters.models.openai_chunks import ChunkReader
from adapters.models.openai_dialects import DEEPSEEK, OPENROUTER
from adapters.models.responses_reader import ResponseReader
from adapters.models.tool_names import ToolNames
from adapters.models.wire import AnswerReader, joined
from core.generation import ModelError, ModelErrorKind
from fakes.heard import put_together

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = ToolNames((), 64)
READERS: dict[str, list[Callable[[], AnswerReader]]] = {
    "chat": [
        ChunkReader,
        lambda: ChunkReader(OPENROUTER, NAMES),
        lambda: ChunkReader(DEEPSEEK, NAMES),
    ],
    "messages": [lambda: MessageReader(NAMES)],
    "responses": [lambda: ResponseReader(NAMES)],
    "gemini": [lambda: CandidateReader(NAMES)],
}


def events_of(format: str) -> list[Any]:
    """The JSON of every event in the written answers of a format."""
    lines = [
        line.removeprefix("data: ")
        for file in sorted((RECORDINGS / format).glob("*.sse"))
        for line in file.read_bytes().decode().splitlines()
        if line.startswith("data: {")
    ]
    return [json.loads(line) for line in lines]


EVENTS = {format: events_of(format) for format in READERS}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab<>", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=4,
)


@st.composite
def bent(draw: st.DrawFn, format: str) -> bytes:
    """An event of a real shape, with one value in it exchanged for another."""
    value = draw(st.sampled_from(EVENTS[format]))
    places = list(_places(value))
    place = draw(st.sampled_from(places))
    return json.dumps(_exchanged(value, place, draw(JSON))).encode()


def _places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    yield at
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from _places(one, (*at, key))


def _exchanged(value: Any, place: tuple[Any, ...], by: Any) -> Any:
    if not place:
        return by
    copy = value.copy()
    copy[place[0]] = _exchanged(value[place[0]], place[1:], by)
    return copy


@pytest.mark.parametrize("format", READERS)
@given(data=st.data())
def test_bent_events(format: str, data: st.DataObject) -> None:
    stream = data.draw(st.lists(bent(format), min_size=1, max_size=6))
    reader = data.draw(st.sampled_from(READERS[format]))()
    events = []
    with suppress(ModelError):
        for event in stream:
            events += reader.read(event)
            if reader.ended:
                break
        events.append(reader.finish())
    put_together(joined(events))


@pytest.mark.parametrize("format", READERS)
@given(body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nonsense(format: str, body: bytes) -> None:
    for make in READERS[format]:
        for read in (make().read, make().read_whole):
            with suppress(ModelError):
                read(body)


@pytest.mark.parametrize("format", READERS)
def test_deep_nesting(format: str) -> None:
    for make in READERS[format]:
        for nested in (b"[" * 100_000, b'{"a":' * 100_000, b'{"choices":' + b"[" * 500):
            with pytest.raises(ModelError):
                make().read(nested)


def test_an_item_that_begins_twice_is_malformed() -> None:
    added = json.dumps(
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "lamp"},
        }
    ).encode()
    reader = ResponseReader(NAMES)
    list(reader.read(added))
    with pytest.raises(ModelError) as raised:
        list(reader.read(added))
    assert raised.value.kind is ModelErrorKind.MALFORMED_STREAM
