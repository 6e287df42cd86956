from __future__ import annotations

import json
from dataclasses import replace

import pytest

from adapters.models.openai_dialects import Dialect
from adapters.models.openai_request import request_body
from adapters.models.schemas import DEEPEST_SCHEMA
from core.generation import GenerationOptions, GenerationRequest, ModelError, ModelErrorKind
from core.messages import (
    ImagePart,
    Message,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from fakes.language_model import a_deployment

DEPLOYMENT = replace(a_deployment(), model="m", max_output_tokens=100)


def body(
    *messages: Message, dialect: Dialect | None = None, options: GenerationOptions | None = None
) -> dict[str, object]:
    request = GenerationRequest(messages, options or GenerationOptions())
    return request_body(request, DEPLOYMENT, dialect or Dialect())


def shapes(*messages: Message, dialect: Dialect | None = None) -> object:
    return body(*messages, dialect=dialect)["messages"]


def test_only_what_was_asked_for_is_sent() -> None:
    assert body(Message.of(Role.USER, "hi")) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 100,
        "stream_options": {"include_usage": True},
    }


def test_every_option_is_sent() -> None:
    options = GenerationOptions(0.0, 0.5, 7, ("END", "\n"), 0, '{"type": "object"}')
    sent = body(Message.of(Role.USER, "hi"), options=options)
    assert sent["temperature"] == 0.0
    assert sent["top_p"] == 0.5
    assert sent["max_tokens"] == 7
    assert sent["stop"] == ["END", "\n"]
    assert sent["seed"] == 0
    schema = {"name": "response", "schema": {"type": "object"}, "strict": False}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}


@pytest.mark.parametrize(("asked", "sent"), [(None, 100), (7, 7), (1_000, 100)])
def test_an_answer_is_always_bounded(asked: int | None, sent: int) -> None:
    options = GenerationOptions(max_output_tokens=asked)
    assert body(options=options)["max_tokens"] == sent


def test_dialects() -> None:
    reasoning = Dialect("max_completion_tokens", developer_role=True, stream_usage=False)
    sent = body(Message.of(Role.DEVELOPER, "Be short."), dialect=reasoning)
    assert sent["max_completion_tokens"] == 100
    assert "max_tokens" not in sent
    assert "stream_options" not in sent
    assert sent["messages"] == [{"role": "developer", "content": "Be short."}]
    assert shapes(Message.of(Role.DEVELOPER, "x")) == [{"role": "system", "content": "x"}]


def test_images_stand_among_the_text() -> None:
    message = Message(Role.USER, (TextPart("What?"), ImagePart("https://a/b.png", "image/png")))
    assert shapes(message) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            ],
        }
    ]


def test_calls_of_tools_and_their_results() -> None:
    call = Message(Role.ASSISTANT, (ToolCallPart("c1", "add", '{"a": 1}'),))
    results = Message(Role.TOOL, (ToolResultPart("c1", "2"), ToolResultPart("c2", "3")))
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert shapes(call, results) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "tool", "tool_call_id": "c2", "content": "3"},
    ]


def nested(levels: int) -> str:
    return '{"items":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('"string"', "not a JSON object"),
        ("[" * 50_000, "not a JSON object"),
        (nested(DEEPEST_SCHEMA + 1), "levels deep"),
        (nested(900), "levels deep"),
    ],
    ids=lambda value: value[:20],
)
def test_a_schema_that_is_none_is_refused(schema: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        body(options=GenerationOptions(response_schema=schema))
    assert caught.value.kind is ModelErrorKind.BAD_REQUEST


def test_a_deep_schema_passes() -> None:
    schema = nested(DEEPEST_SCHEMA)
    sent = body(options=GenerationOptions(response_schema=schema))
    assert json.dumps(sent["response_format"]).count("items") == DEEPEST_SCHEMA - 1
