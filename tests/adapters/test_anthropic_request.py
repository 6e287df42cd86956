from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from adapters.models.anthropic_request import Thinking, request_body
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ReasoningEffort,
    ToolChoice,
)
from core.messages import Message, Role, ToolResultPart
from fakes.full_requests import ADD, CLOSED, EFFORT, NO_EFFORT, SCHEMA, asked, conversation
from fakes.full_requests import everything as all_options
from fakes.provider_models import ABLE

DEPLOYMENT = replace(ABLE, max_output_tokens=8_000)
CACHED = {"type": "ephemeral"}


def body(request: GenerationRequest, thinking: Thinking = "budget") -> dict[str, Any]:
    return request_body(request, DEPLOYMENT, thinking)


def test_only_what_was_asked_for_is_sent() -> None:
    assert body(asked()) == {
        "model": "m",
        "max_tokens": 8_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True,
    }


def test_every_option_is_sent() -> None:
    sent = body(asked(options=all_options(stop=("END",), parallel_tool_calls=False)))
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.5, 0.9, 50)
    assert sent["stop_sequences"] == ["END"]
    tool = {"name": "add", "description": "Adds.", "input_schema": json.loads(SCHEMA)}
    assert sent["tools"] == [tool]
    assert sent["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    schema = {"type": "json_schema", "schema": json.loads(CLOSED)}
    assert sent["output_config"] == {"format": schema}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice.AUTO, {"type": "auto"}),
        (ToolChoice.NONE, {"type": "none"}),
        (ToolChoice.REQUIRED, {"type": "any"}),
        (ToolChoice.ONE, {"type": "tool", "name": "add"}),
    ],
)
def test_tool_choice(choice: ToolChoice, sent: dict[str, str]) -> None:
    chosen = "add" if choice is ToolChoice.ONE else ""
    options = GenerationOptions(tools=(ADD,), tool_choice=choice, chosen_tool=chosen)
    assert body(asked(options=options))["tool_choice"] == sent


def test_a_conversation_with_everything() -> None:
    seal = '{"type": "thinking", "signature": "sealed"}'
    sent = body(asked(*conversation("anthropic", seal)))
    assert sent["system"] == [
        {"type": "text", "text": "Be good."},
        {"type": "text", "text": "Be short."},
    ]
    data = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    question = [
        {"type": "text", "text": "What?"},
        {"type": "image", "source": data},
        {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
    ]
    answer = [
        {"type": "thinking", "signature": "sealed", "thinking": "Hm."},
        {"type": "text", "text": "I'll add."},
        {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "add", "input": {}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "2"},
        {"type": "tool_result", "tool_use_id": "call_2", "content": "no", "is_error": True},
        {"type": "text", "text": "Thanks."},
    ]
    assert sent["messages"] == [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": results},
    ]


def test_results_come_first_in_their_message() -> None:
    """The provider refuses a text before the result of a call."""
    result = Message(Role.TOOL, (ToolResultPart("call_1", "2"),))
    sent = body(asked(Message.of(Role.USER, "Well?"), result))
    assert [block["type"] for block in sent["messages"][0]["content"]] == ["tool_result", "text"]


def test_blank_texts_are_left_out() -> None:
    sent = body(asked(Message.of(Role.USER, "a"), Message.of(Role.ASSISTANT, " \n")))
    assert [message["role"] for message in sent["messages"]] == ["user"]


def test_an_answer_that_was_begun_goes_last_and_ends_with_no_space() -> None:
    sent = body(asked(Message.of(Role.USER, "a"), Message.of(Role.ASSISTANT, "It is \n")))
    assert sent["messages"][-1]["content"] == [{"type": "text", "text": "It is"}]


def test_what_will_come_again_is_marked_for_the_cache() -> None:
    messages = (
        Message.of(Role.SYSTEM, "Be good."),
        Message.of(Role.USER, "a"),
        Message.of(Role.ASSISTANT, "b"),
        Message.of(Role.USER, "c"),
    )
    sent = body(asked(*messages, stable=3))
    assert sent["system"][-1]["cache_control"] == CACHED
    marked = [m["content"][-1].get("cache_control") for m in sent["messages"]]
    assert marked == [None, CACHED, None]
    assert "cache_control" not in json.dumps(body(asked(*messages)))


def test_tools_that_are_only_spoken_of_are_named() -> None:
    """The provider refuses calls in a history of a request that defines no tools."""
    sent = body(asked(*conversation("anthropic", "")))
    assert sent["tools"] == [{"name": "add", "input_schema": {"type": "object"}}]
    assert sent["tool_choice"] == {"type": "none"}


class TestEffort:
    def test_a_budget_is_a_number(self) -> None:
        sent = body(asked(options=EFFORT))
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2_048}
        assert "output_config" not in sent

    def test_newer_models_take_a_word(self) -> None:
        sent = body(asked(options=EFFORT), "adaptive")
        assert sent["thinking"] == {"type": "adaptive"}
        assert sent["output_config"] == {"effort": "low"}

    @pytest.mark.parametrize("thinking", ["budget", "adaptive"])
    def test_none_is_none(self, thinking: Thinking) -> None:
        sent = body(asked(options=NO_EFFORT), thinking)
        assert sent["thinking"] == {"type": "disabled"}
        assert "output_config" not in sent

    def test_half_of_the_answer_is_left_for_the_answer(self) -> None:
        options = replace(EFFORT, reasoning_effort=ReasoningEffort.HIGH)
        assert body(asked(options=options))["thinking"]["budget_tokens"] == 2_048

    def test_a_limit_without_room_to_think_is_refused(self) -> None:
        with pytest.raises(ModelError, match="more than 1024 tokens") as caught:
            body(asked(options=replace(EFFORT, max_output_tokens=1_000)))
        assert caught.value.kind is ModelErrorKind.BAD_REQUEST
