from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.openai_chunks import ChunkReader
from adapters.models.wire import joined
from core.generation import (
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)


def chunk(delta: object = None, finish: object = None, **more: object) -> bytes:
    value = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("delta", "events"),
    [
        ({"content": "text"}, [TextDelta("text")]),
        ({"content": None}, []),
        ({"content": ""}, []),
        ({"role": "assistant"}, []),
        (None, []),
        ({"reasoning_content": "why"}, [ReasoningDelta("why")]),
        ({"reasoning": "why"}, [ReasoningDelta("why")]),
        ({"thinking": "why"}, [ReasoningDelta("why")]),
        ({"reasoning": "why", "reasoning_content": "why"}, [ReasoningDelta("why")]),
        ({"reasoning": None, "content": "text"}, [TextDelta("text")]),
        ({"reasoning": "why", "content": "text"}, [ReasoningDelta("why"), TextDelta("text")]),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
                    {"type": "text", "text": "text"},
                    {"type": "reference", "reference_ids": [1]},
                ]
            },
            [ReasoningDelta("why"), TextDelta("text")],
        ),
        ({"content": [{"type": "thinking", "thinking": "why"}]}, [ReasoningDelta("why")]),
        ({"refusal": "I can't."}, [RefusalDelta("I can't.")]),
        (
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]},
            [ToolCallDelta(0, "c", "f", "{")],
        ),
        ({"content": "灯塔 🗼"}, [TextDelta("灯塔 🗼")]),
    ],
    ids=repr,
)
def test_what_a_delta_adds(delta: object, events: list[ModelEvent]) -> None:
    assert ChunkReader().read(chunk(delta)) == events


def test_only_the_first_choice_is_read() -> None:
    choices = [{"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}]
    reader = ChunkReader()
    assert reader.read(json.dumps({"choices": choices}).encode()) == []
    assert not reader.is_finished


@pytest.mark.parametrize("nothing", [b"{}", b'{"choices": null}', b'{"choices": []}'])
def test_a_chunk_without_choices_adds_nothing(nothing: bytes) -> None:
    assert ChunkReader().read(nothing) == []


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("stop", StopCause.STOP),
        ("length", StopCause.LENGTH),
        ("content_filter", StopCause.CONTENT_FILTER),
        ("tool_calls", StopCause.TOOL_CALLS),
        ("function_call", StopCause.TOOL_CALLS),
        ("model_length", StopCause.LENGTH),
        ("end_turn", StopCause.STOP),
    ],
)
def test_finish_reasons(reason: str, cause: StopCause) -> None:
    reader = ChunkReader()
    reader.read(chunk({"content": "text"}, reason))
    reader.read(chunk({"content": ""}, None))
    assert reader.finish() == ModelFinished(cause, TokenUsage())


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (None, ModelErrorKind.MALFORMED_STREAM),
        ("novelty", ModelErrorKind.MALFORMED_STREAM),
        ("error", ModelErrorKind.OVERLOADED),
        ("insufficient_system_resource", ModelErrorKind.OVERLOADED),
        ("abort", ModelErrorKind.CONNECTION),
    ],
)
def test_an_answer_that_may_have_been_cut_is_no_answer(
    reason: str | None, kind: ModelErrorKind
) -> None:
    reader = ChunkReader()
    reader.read(chunk({"content": "half"}, reason))
    with pytest.raises(ModelError) as caught:
        reader.finish()
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        (
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 2},
                }
            },
            TokenUsage(9, 5, 4, 2),
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 0,
                    "completion_tokens": 0,
                    "prompt_tokens_details": {"cached_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                }
            },
            TokenUsage(0, 0, 0, 0),
        ),
        ({"usage": {"prompt_tokens": 9}}, TokenUsage(prompt=9)),
        ({"usage": {"prompt_tokens_details": None}}, TokenUsage()),
        ({"usage": {"prompt_tokens": 9, "prompt_cache_hit_tokens": 3}}, TokenUsage(9, None, 3)),
        ({"usage": None}, TokenUsage()),
        ({}, TokenUsage()),
        ({"timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": 6}}, TokenUsage(9, 6, 4)),
        (
            {
                "usage": {"prompt_tokens": 10, "completion_tokens": 6},
                "timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": 6},
            },
            TokenUsage(10, 6),
        ),
    ],
    ids=repr,
)
def test_usage_is_believed_where_it_is_said_and_unknown_where_not(
    more: dict[str, object], usage: TokenUsage
) -> None:
    reader = ChunkReader()
    reader.read(chunk({"content": "x"}, "stop", **more))
    assert reader.finish().usage == usage


def test_the_newest_usage_counts() -> None:
    reader = ChunkReader()
    reader.read(chunk({"content": "x"}, usage={"prompt_tokens": 9, "completion_tokens": 1}))
    reader.read(chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2}))
    reader.read(chunk({}, None, usage=None))
    assert reader.finish().usage == TokenUsage(9, 2)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"error": {"code": 502, "message": "gone"}}, ModelErrorKind.OVERLOADED),
        ({"error": {"code": "429", "message": "slow down"}}, ModelErrorKind.RATE_LIMITED),
        ({"error": {"message": "x", "type": "server_error"}}, ModelErrorKind.OVERLOADED),
        ({"error": "plain words"}, ModelErrorKind.BAD_REQUEST),
        (
            {"object": "error", "message": "maximum context length is 4096", "code": 400},
            ModelErrorKind.CONTEXT_TOO_LONG,
        ),
    ],
    ids=repr,
)
def test_an_error_inside_the_stream(said: dict[str, object], kind: ModelErrorKind) -> None:
    with pytest.raises(ModelError) as caught:
        ChunkReader().read(json.dumps(said).encode())
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"choices": 3}',
        b'{"choices": [{"delta": {"content": {"a": 1}}}]}',
        b'{"choices": [], "usage": {"prompt_tokens": -1}}',
        b"[" * 5000,
    ],
    ids=repr,
)
def test_what_is_no_chunk_is_malformed_and_not_quoted(nonsense: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        ChunkReader().read(nonsense)
    assert caught.value.kind is ModelErrorKind.MALFORMED_STREAM
    assert len(caught.value.message) < 300


KINDS = st.sampled_from([TextDelta, ReasoningDelta, RefusalDelta])
EVENTS = st.lists(st.tuples(KINDS, st.text(max_size=3)).map(lambda pair: pair[0](pair[1])))


@given(EVENTS)
def test_joining_keeps_the_order_and_every_character(events: list[ModelEvent]) -> None:
    made = joined(events)

    def characters(of: list[ModelEvent]) -> list[tuple[str, str]]:
        pieces = [one for one in of if isinstance(one, TextDelta | ReasoningDelta | RefusalDelta)]
        return [(type(one).__name__, letter) for one in pieces for letter in one.text]

    assert characters(made) == characters(events)
    assert all(type(a) is not type(b) for a, b in itertools.pairwise(made))
