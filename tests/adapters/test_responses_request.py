from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from adapters.models.responses_request import request_body
from core.catalog import Capability
from core.generation import GenerationOptions, GenerationRequest, ModelErrorKind, ToolChoice
from core.messages import Message, Role
from fakes.full_requests import ADD, CLOSED, EFFORT, PIXEL, SCHEMA, asked, conversation
from fakes.full_requests import everything as all_options
from fakes.provider_models import ABLE, broken_answer, provider

DEPLOYMENT = replace(
    ABLE, max_output_tokens=8_000, capabilities=ABLE.capabilities - {Capability.REASONING}
)


def body(request: GenerationRequest) -> dict[str, Any]:
    return request_body(request, DEPLOYMENT)


def test_only_what_was_asked_for_is_sent() -> None:
    hello = {"type": "message", "role": "user"}
    assert body(asked()) == {
        "model": "m",
        "input": [hello | {"content": [{"type": "input_text", "text": "Hello"}]}],
        "stream": True,
        "store": False,
        "max_output_tokens": 8_000,
    }


def test_every_option_is_sent() -> None:
    options = all_options(logprobs=3, cache_key="team-a", parallel_tool_calls=False)
    sent = body(asked(options=options))
    assert (sent["temperature"], sent["top_p"], sent["max_output_tokens"]) == (0.5, 0.9, 50)
    assert sent["top_logprobs"] == 3
    assert sent["include"] == ["message.output_text.logprobs"]
    assert sent["prompt_cache_key"] == "team-a"
    function = {"type": "function", "name": "add", "description": "Adds.", "strict": False}
    assert sent["tools"] == [function | {"parameters": json.loads(SCHEMA)}]
    assert sent["tool_choice"] == "required"
    assert sent["parallel_tool_calls"] is False
    form = {"type": "json_schema", "name": "response", "strict": True}
    assert sent["text"] == {"format": form | {"schema": json.loads(CLOSED)}}


def test_an_open_schema_is_not_strict() -> None:
    sent = body(asked(options=GenerationOptions(response_schema=SCHEMA)))
    assert sent["text"]["format"]["strict"] is False


def test_one_tool_can_be_demanded() -> None:
    options = GenerationOptions(tools=(ADD,), tool_choice=ToolChoice.ONE, chosen_tool="add")
    assert body(asked(options=options))["tool_choice"] == {"type": "function", "name": "add"}


def test_thoughts_are_asked_for_sealed() -> None:
    sent = body(asked(options=EFFORT))
    assert sent["reasoning"] == {"effort": "low", "summary": "auto"}
    assert sent["include"] == ["reasoning.encrypted_content"]


def test_a_model_that_reasons_by_itself_seals_its_thoughts_too() -> None:
    assert request_body(asked(), ABLE)["include"] == ["reasoning.encrypted_content"]


def test_a_conversation_with_everything() -> None:
    kept = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    sent = body(asked(*conversation("responses", json.dumps(kept))))["input"]
    question = [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
        {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"},
    ]
    assert [item.get("role") or item["type"] for item in sent] == [
        "system",
        "developer",
        "user",
        "reasoning",
        "assistant",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "user",
    ]
    assert sent[2]["content"] == question
    assert sent[3] == kept
    assert sent[4]["content"] == [{"type": "output_text", "text": "I'll add."}]
    call = {"type": "function_call", "call_id": "call_1", "name": "add"}
    assert sent[5] == call | {"arguments": '{"a": 1}'}
    assert sent[6]["arguments"] == "{}"
    assert sent[8]["output"] == '{"error": "no"}'


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (asked(options=GenerationOptions(stop=("END",))), "stop"),
        (asked(options=GenerationOptions(seed=1)), "seed"),
        (asked(Message.of(Role.ASSISTANT, "It is")), "was begun"),
    ],
    ids=["stop sequences", "a seed", "the beginning of an answer"],
)
async def test_what_the_format_lacks_is_refused_by_name(
    request_: GenerationRequest, named: str
) -> None:
    async with provider("responses") as (model, server):
        _, error = await broken_answer(model, request_)
        assert not server.records
    assert error.kind is ModelErrorKind.UNSUPPORTED
    assert named in error.message
