from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from adapters.models.gemini_request import Thinking, request_body
from core.generation import GenerationOptions, GenerationRequest, ToolChoice
from core.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolResultPart
from fakes.full_requests import ADD, CLOSED, EFFORT, NO_EFFORT, SCHEMA, asked, conversation
from fakes.full_requests import everything as all_options
from fakes.provider_models import ABLE, broken_answer, events_of, provider

DEPLOYMENT = replace(ABLE, max_output_tokens=8_000)


def body(request: GenerationRequest, thinking: Thinking = "budget") -> dict[str, Any]:
    return request_body(request, DEPLOYMENT, thinking)


def test_only_what_was_asked_for_is_sent() -> None:
    assert body(asked()) == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"maxOutputTokens": 8_000},
    }


def test_every_option_is_sent() -> None:
    sent = body(asked(options=all_options(stop=("END",), seed=0, logprobs=2)))
    assert sent["generationConfig"] == {
        "maxOutputTokens": 50,
        "temperature": 0.5,
        "topP": 0.9,
        "seed": 0,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(CLOSED),
        "responseLogprobs": True,
        "logprobs": 2,
    }
    declared = {"name": "add", "description": "Adds.", "parametersJsonSchema": json.loads(SCHEMA)}
    assert sent["tools"] == [{"functionDeclarations": [declared]}]
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice.AUTO, {"mode": "AUTO"}),
        (ToolChoice.NONE, {"mode": "NONE"}),
        (ToolChoice.ONE, {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_tool_choice(choice: ToolChoice, sent: dict[str, object]) -> None:
    chosen = "add" if choice is ToolChoice.ONE else ""
    options = GenerationOptions(tools=(ADD,), tool_choice=choice, chosen_tool=chosen)
    assert body(asked(options=options))["toolConfig"] == {"functionCallingConfig": sent}


def test_a_conversation_with_everything() -> None:
    sent = body(asked(*conversation("gemini", "sealed")))
    assert sent["systemInstruction"] == {"parts": [{"text": "Be good."}, {"text": "Be short."}]}
    question = [
        {"text": "What?"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://a/b.png"}},
    ]
    answer = [
        {"text": "I'll add.", "thoughtSignature": "sealed"},
        {"functionCall": {"name": "add", "args": {"a": 1}}},
        {"functionCall": {"name": "add", "args": {}}},
    ]
    results = [
        {"functionResponse": {"name": "add", "response": {"result": 2}}},
        {"functionResponse": {"name": "add", "response": {"error": "no"}}},
        {"text": "Thanks."},
    ]
    assert sent["contents"] == [
        {"role": "user", "parts": question},
        {"role": "model", "parts": answer},
        {"role": "user", "parts": results},
    ]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ('{"sum": 3}', {"sum": 3}),
        ("[1]", {"result": [1]}),
        ("plain words", {"result": "plain words"}),
        ("", {"result": ""}),
    ],
)
def test_a_result_is_an_object(content: str, response: dict[str, object]) -> None:
    sent = body(asked(Message(Role.TOOL, (ToolResultPart("call_1", content),))))
    assert sent["contents"][0]["parts"][0]["functionResponse"]["response"] == response


def test_a_seal_at_the_end_goes_with_an_empty_text() -> None:
    parts = (TextPart("Yes."), ReasoningPart("", "sealed", "gemini"))
    sent = body(asked(Message(Role.ASSISTANT, parts)))
    assert sent["contents"][0]["parts"][-1] == {"text": "", "thoughtSignature": "sealed"}


def test_plain_data_is_made_base64() -> None:
    image = ImagePart("data:image/svg+xml,%3Csvg/%3E", "image/svg+xml")
    sent = body(asked(Message(Role.USER, (image,))))
    data = {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}
    assert sent["contents"][0]["parts"] == [{"inlineData": data}]


@pytest.mark.parametrize(
    ("options", "thinking", "sent"),
    [
        (EFFORT, "budget", {"thinkingBudget": 1_024, "includeThoughts": True}),
        (EFFORT, "level", {"thinkingLevel": "low", "includeThoughts": True}),
        (NO_EFFORT, "budget", {"thinkingBudget": 0, "includeThoughts": False}),
        (NO_EFFORT, "level", {"thinkingLevel": "minimal", "includeThoughts": False}),
    ],
)
def test_effort(options: GenerationOptions, thinking: Thinking, sent: dict[str, object]) -> None:
    config = body(asked(options=options), thinking)["generationConfig"]
    assert config["thinkingConfig"] == sent


async def test_one_call_at_a_time_cannot_be_asked_for() -> None:
    async with provider("gemini") as (model, server):
        options = GenerationOptions(tools=(ADD,), parallel_tool_calls=False)
        _, error = await broken_answer(model, asked(options=options))
        assert "parallel_tool_calls" in error.message
        await events_of(model, asked(options=replace(options, parallel_tool_calls=True)))
        assert len(server.records) == 1


async def test_a_key_is_no_part_of_the_address() -> None:
    async with provider("gemini") as (model, server):
        await events_of(model)
    assert server.records[0].headers["x-goog-api-key"]
