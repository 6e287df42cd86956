"""What every provider's adapter makes of calls, thoughts and origins, and sends back with them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.generation import (
    AnswerOrigin,
    GenerationOptions,
    ModelErrorKind,
    ReasoningSealed,
    StopCause,
    ToolCallDelta,
    ToolChoice,
)
from core.messages import (
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from fakes.heard import Called, put_together
from fakes.provider_formats import Propose, Say, Think
from fakes.provider_models import (
    ADD,
    HELLO,
    PROVIDERS,
    WITH_TOOLS,
    broken_answer,
    events_of,
    provider,
)
from fakes.provider_server import Plan

TWO_CALLS = (
    Think("Both."),
    Say("I'll add."),
    Propose("call_1", "add", ('{"a":', " 1}")),
    Propose("call_2", "add", ('{"a": 2}',)),
)

pytestmark = pytest.mark.parametrize("format", PROVIDERS)


async def test_calls_come_apart_whatever_the_order(format: str) -> None:
    async with provider(format, Plan(TWO_CALLS)) as (model, _):
        said = put_together(await events_of(model, WITH_TOOLS))
    assert said.calls == (Called("add", {"a": 1}), Called("add", {"a": 2}))
    assert len(set(said.call_ids)) == 2
    assert said.cause is StopCause.TOOL_CALLS
    assert said.text == "I'll add."


async def test_arguments_are_streamed(format: str) -> None:
    long = Propose("call_1", "add", ('{"a":', " 1", "}"))
    async with provider(format, Plan((long,), drip=True)) as (model, _):
        events = await events_of(model, WITH_TOOLS)
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    whole = ['{"a":1}']  # Google's format has arguments in one piece
    expected = whole if format == "gemini" else ["", '{"a":', " 1", "}"]
    assert [piece.arguments for piece in pieces] == expected


async def test_a_call_without_arguments(format: str) -> None:
    async with provider(format, Plan((Propose("call_1", "add"),))) as (model, _):
        said = put_together(await events_of(model, WITH_TOOLS))
    assert said.calls == (Called("add", {}),)


async def test_thoughts_are_no_answer(format: str) -> None:
    plan = Plan((Think("Hm, "), Think("yes."), Say("Yes.")))
    async with provider(format, plan) as (model, _):
        said = put_together(await events_of(model))
    assert (said.reasoning, said.text) == ("Hm, yes.", "Yes.")
    assert said.usage.reasoning == 2
    assert said.usage.completion == 3


async def test_who_answers_comes_first(format: str) -> None:
    async with provider(format) as (model, _):
        events = await events_of(model)
    assert isinstance(events[0], AnswerOrigin)
    assert events[0].model == "served-model"
    assert events[0].response_id


async def test_a_round_with_a_tool_goes_back_as_it_came(format: str) -> None:
    """Call, seal and result stand in the next request as the provider wants them."""
    async with provider(format, Plan(TWO_CALLS)) as (model, server):
        first = await events_of(model, WITH_TOOLS)
        said = put_together(first)
        seals = [event for event in first if isinstance(event, ReasoningSealed)]
        parts: tuple[Part, ...] = (
            *(ReasoningPart(said.reasoning, seal.seal, seal.wire) for seal in seals[:1]),
            TextPart(said.text),
            *(
                ToolCallPart(call_id, call.tool, json.dumps(call.arguments))
                for call_id, call in zip(said.call_ids, said.calls, strict=True)
            ),
        )
        results = tuple(ToolResultPart(call_id, '{"total": 3}') for call_id in said.call_ids)
        history = (*HELLO.messages, Message(Role.ASSISTANT, parts), Message(Role.TOOL, results))
        await events_of(model, replace(WITH_TOOLS, messages=history))
        body = json.dumps(server.records[1].body)
    for call_id in said.call_ids if format != "gemini" else ():
        assert body.count(call_id) == 2
    assert body.count("total") == 2
    assert ("sealed-" in body) == (format not in ("chat", "azure"))


async def test_a_seal_of_another_format_stays_here(format: str) -> None:
    thought = ReasoningPart("Hm.", '{"type": "thinking", "signature": "foreign"}', "another")
    history = (*HELLO.messages, Message(Role.ASSISTANT, (thought, TextPart("Yes."))))
    request = replace(HELLO, messages=(*history, *HELLO.messages))
    async with provider(format) as (model, server):
        await events_of(model, request)
        body = json.dumps(server.records[0].body)
    assert "foreign" not in body
    assert "Hm." not in body


async def test_a_seal_that_is_none_is_left_out(format: str) -> None:
    wires = ("anthropic", "responses", "deepseek", "openrouter", "openai")
    thoughts = tuple(ReasoningPart("Hm.", "no JSON", wire) for wire in wires)
    call = (ToolCallPart("call_1", "add", "{}"),)
    history = (*HELLO.messages, Message(Role.ASSISTANT, (*thoughts, *call)))
    request = replace(WITH_TOOLS, messages=(*history, *HELLO.messages))
    async with provider(format) as (model, server):
        await events_of(model, request)
        assert "no JSON" not in json.dumps(server.records[0].body)


async def test_a_tool_that_failed_is_told_to_have_failed(format: str) -> None:
    call = Message(Role.ASSISTANT, (ToolCallPart("call_1", "add", "{}"),))
    result = Message(Role.TOOL, (ToolResultPart("call_1", "no such lamp", is_error=True),))
    request = replace(WITH_TOOLS, messages=(*HELLO.messages, call, result))
    async with provider(format) as (model, server):
        await events_of(model, request)
        body = json.dumps(server.records[0].body)
    assert "no such lamp" in body
    assert "error" in body


async def test_names_that_providers_refuse_are_ours_again(format: str) -> None:
    """Dots and long names are refused by most; the caller never sees another name."""
    dotted = replace(ADD, name="calculator.add." + "x" * 100)
    options = GenerationOptions(tools=(dotted,))
    async with provider(format) as (model, server):
        await events_of(model, replace(HELLO, options=options))
        (wire,) = _tool_names(server.records[0].body)
        assert "." not in wire
        server.choose = lambda asked: Plan((Propose("call_1", wire, ("{}",)),))
        said = put_together(await events_of(model, replace(HELLO, options=options)))
    assert said.calls == (Called(dotted.name, {}),)


def _tool_names(body: Any) -> list[str]:
    found: list[str] = []
    for tool in body["tools"]:
        declared = tool.get("functionDeclarations") or [tool.get("function", tool)]
        found += [one["name"] for one in declared]
    return found


@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(tool_choice=ToolChoice.REQUIRED),
        GenerationOptions(tools=(ADD,), tool_choice=ToolChoice.ONE, chosen_tool="subtract"),
        GenerationOptions(tools=(replace(ADD, parameters="[]"),)),
        GenerationOptions(response_schema='"text"'),
    ],
    ids=["none defined", "another one", "no schema of a tool", "no schema of an answer"],
)
async def test_what_makes_no_sense_is_not_sent(format: str, options: GenerationOptions) -> None:
    async with provider(format) as (model, server):
        _, error = await broken_answer(model, replace(HELLO, options=options))
        assert not server.records
    assert error.kind is ModelErrorKind.BAD_REQUEST


async def test_half_of_a_surrogate_pair_is_no_obstacle(format: str) -> None:
    request = replace(HELLO, messages=(Message.of(Role.USER, "half \ud83d a pair"),))
    async with provider(format) as (model, server):
        await events_of(model, request)
        assert server.records[0].prompt == "half ? a pair"
