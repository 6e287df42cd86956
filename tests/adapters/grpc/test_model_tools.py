"""Tools in ModelService: defined, proposed in pieces or whole, their results sent back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import models_pb2, tools_pb2, turns_pb2
from colonnade.v1.messages_pb2 import Message, Part, Role, Thoughts, ToolCall, ToolResult
from core.catalog import Capability
from core.generation import (
    ModelError,
    ModelErrorKind,
    ReasoningSealed,
    StopCause,
    ToolChoice,
)
from fakes.language_model import Fail, Finish, Propose, ScriptedModel, Tell, Think, script
from fakes.provider_formats import Propose as Proposed
from fakes.provider_models import ABLE, provider
from fakes.provider_server import Asked, Plan
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, served_node, user
from fakes.turn_node import a_model

SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'
WEATHER = tools_pb2.ToolDefinition(
    name="weather", description="Tells the weather.", parameters_schema=SCHEMA
)
CLOCK = tools_pb2.ToolDefinition(name="clock")
TWO_CALLS = script(
    "I look.",
    Propose("", 0, "c-1", "weather"),
    Propose('{"city": ', 0),
    Propose("{}", 1, "c-2", "clock"),
    Propose('"Rome"}', 0),
)
ROME, TIME = (
    ToolCall(call_id="c-1", tool="weather", arguments_json='{"city": "Rome"}'),
    ToolCall(call_id="c-2", tool="clock", arguments_json="{}"),
)


def able(*scripts: Any, **changes: Any) -> ScriptedModel:
    every = frozenset(Capability) - {Capability.EMBEDDINGS}
    return a_model(*scripts, **{"capabilities": every, **changes})


def wants(*messages: Message, **fields: Any) -> models_pb2.GenerateRequest:
    given = messages or (user("Weather in Rome?"),)
    return models_pb2.GenerateRequest(messages=given, **{"tools": [WEATHER, CLOCK], **fields})


def choice(name: str, **fields: Any) -> models_pb2.GenerationOptions:
    number = tools_pb2.ToolChoice.Value(f"TOOL_CHOICE_{name}")
    return models_pb2.GenerationOptions(tool_choice=number, **fields)


def proposing(*calls: ToolCall) -> Message:
    return Message(role=Role.ROLE_ASSISTANT, parts=[Part(tool_call=call) for call in calls])


def result(call_id: str, content: str = "sunny", **fields: Any) -> Message:
    answer = ToolResult(call_id=call_id, content=content, **fields)
    return Message(role=Role.ROLE_TOOL, parts=[Part(tool_result=answer)])


async def streamed(node: ServedNode, request: models_pb2.GenerateRequest) -> Any:
    stream = node.stubs.models.StreamGenerate(request, metadata=node.key())
    return [piece async for piece in stream]


async def test_calls_come_whole_in_the_answer() -> None:
    model = able(TWO_CALLS)
    async with served_node(model) as node:
        options = choice("AUTO", parallel_tool_calls=True)
        answer = await node.stubs.models.Generate(wants(options=options), metadata=node.key())
        assert answer.finish_reason == turns_pb2.FINISH_REASON_TOOL_CALLS
        assert list(answer.message.parts) == [
            Part(text="I look."),
            Part(tool_call=ROME),
            Part(tool_call=TIME),
        ]
        asked = model.calls[0].request.options
        assert [(t.name, t.parameters) for t in asked.tools] == [
            ("weather", SCHEMA),
            ("clock", '{"type": "object"}'),
        ]
        assert asked.parallel_tool_calls is True


async def test_calls_come_in_pieces_and_then_complete() -> None:
    async with served_node(able(TWO_CALLS)) as node:
        pieces = await streamed(node, wants())
        told = [piece for each in pieces for piece in each.tool_calls]
        begun = [(p.index, p.begun.call_id, p.begun.tool) for p in told if p.HasField("begun")]
        assert begun == [(0, "c-1", "weather"), (1, "c-2", "clock")]
        for index, call in enumerate((ROME, TIME)):
            said = "".join(p.arguments for p in told if p.index == index)
            assert said == call.arguments_json
        assert list(pieces[-1].tool_calls) == [
            tools_pb2.ToolCallPiece(index=0, complete=ROME),
            tools_pb2.ToolCallPiece(index=1, complete=TIME),
        ]
        assert pieces[-1].finish_reason == turns_pb2.FINISH_REASON_TOOL_CALLS
        assert not any(p.HasField("complete") for each in pieces[:-1] for p in each.tool_calls)


async def test_a_call_that_was_cut_is_not_told_to_be_complete() -> None:
    cut = script(
        Propose("{}", 0, "c-1", "clock"),
        Propose('{"city": "Ro', 1, "c-2", "weather"),
        Finish(StopCause.LENGTH),
    )
    async with served_node(able(cut)) as node:
        pieces = await streamed(node, wants())
        assert [p.index for p in pieces[-1].tool_calls] == [0]
        assert pieces[-1].finish_reason == turns_pb2.FINISH_REASON_LENGTH


@pytest.mark.parametrize(
    ("name", "chosen", "asked"),
    [
        ("AUTO", "", ToolChoice.AUTO),
        ("NONE", "", ToolChoice.NONE),
        ("REQUIRED", "", ToolChoice.REQUIRED),
        ("ONE", "clock", ToolChoice.ONE),
    ],
)
async def test_every_choice_reaches_the_model(name: str, chosen: str, asked: ToolChoice) -> None:
    model = able(script("Well."))
    async with served_node(model) as node:
        request = wants(options=choice(name, chosen_tool=chosen))
        await node.stubs.models.Generate(request, metadata=node.key())
        options = model.calls[0].request.options
        assert (options.tool_choice, options.chosen_tool) == (asked, chosen)


WRONG: list[tuple[models_pb2.GenerateRequest, list[str]]] = [
    (wants(tools=[CLOCK, CLOCK]), ["tools[1].name"]),
    (wants(tools=[tools_pb2.ToolDefinition(name="a b")]), ["tools[0].name"]),
    (
        wants(tools=[CLOCK, tools_pb2.ToolDefinition(name="a", parameters_schema="[]")]),
        ["tools[1].parameters_schema"],
    ),
    (wants(tools=[tools_pb2.ToolDefinition(name=f"t{n}") for n in range(129)]), ["tools"]),
    (wants(tools=[], options=choice("REQUIRED")), ["options.tool_choice"]),
    (wants(options=choice("ONE", chosen_tool="map")), ["options.chosen_tool"]),
    (wants(options=choice("ONE")), ["options.chosen_tool"]),
    (wants(options=choice("AUTO", chosen_tool="clock")), ["options.chosen_tool"]),
    (
        wants(tools=[], options=models_pb2.GenerationOptions(parallel_tool_calls=False)),
        ["options.parallel_tool_calls"],
    ),
    (
        wants(user("Hi"), proposing(TIME), result("c-9")),
        ["messages[2].parts[0].tool_result.call_id"],
    ),
    (
        wants(user("Hi"), proposing(TIME), result("c-2"), result("c-2")),
        ["messages[3].parts[0].tool_result.call_id"],
    ),
]


@pytest.mark.parametrize(("request_", "fields"), WRONG)
async def test_what_is_wrong_is_named(
    request_: models_pb2.GenerateRequest, fields: Sequence[str]
) -> None:
    model = able()
    async with served_node(model) as node:
        refusal = await refused(node.stubs.models.Generate(request_, metadata=node.key()))
        assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, fields)
        assert not model.calls


@pytest.mark.parametrize(
    "request_",
    [wants(), wants(user("Hi"), proposing(TIME), result("c-2"), tools=[])],
    ids=["tools", "results of tools"],
)
async def test_who_has_no_tools_is_not_called(request_: models_pb2.GenerateRequest) -> None:
    model = able(capabilities=frozenset({Capability.SEED}))
    async with served_node(model) as node:
        refusal = await refused(node.stubs.models.Generate(request_, metadata=node.key()))
        assert refusal.reason == "FEATURE_UNSUPPORTED"
        assert "tools" in refusal.message
        assert not model.calls


async def test_what_a_format_cannot_say_is_refused_by_name() -> None:
    async with provider("gemini") as (model, server), served_node(model) as node:
        request = wants(options=models_pb2.GenerationOptions(parallel_tool_calls=False))
        for call in (node.stubs.models.Generate, node.stubs.models.StreamGenerate):
            refusal = await refused(call(request, metadata=node.key()))
            assert (refusal.code, refusal.reason) == (
                StatusCode.FAILED_PRECONDITION,
                "FEATURE_UNSUPPORTED",
            )
            assert "parallel_tool_calls" in refusal.message
        assert not server.records


async def test_after_a_proposal_nobody_else_is_asked() -> None:
    cut = ModelError(ModelErrorKind.CONNECTION, "cut")
    first = able(script(Propose("{", 0, "c-1", "clock"), Fail(cut)), name="first")
    second = able(script("no"), name="second", price="2")
    async with served_node(first, second) as node:
        refusal = await refused(node.stubs.models.StreamGenerate(wants(), metadata=node.key()))
        assert refusal.reason == "MODELS_UNAVAILABLE"
        assert not second.calls


async def test_sealed_thoughts_come_with_the_calls_and_go_back() -> None:
    thinking = script(
        Think("Let me "),
        Think("see."),
        Tell(ReasoningSealed("SEAL", "anthropic")),
        Propose("{}", 0, "c-2", "clock"),
    )
    model = able(thinking, script("Noon."))
    async with served_node(model) as node:
        first = await node.stubs.models.Generate(wants(), metadata=node.key())
        sealed = Thoughts(text="Let me see.", seal="SEAL", format="anthropic")
        assert list(first.message.parts) == [Part(thoughts=sealed), Part(tool_call=TIME)]
        again = wants(user("Time?"), first.message, result("c-2", "12:00"))
        second = await node.stubs.models.Generate(again, metadata=node.key())
        assert second.message.parts[0].text == "Noon."
        (sent, _) = model.calls[1].request.messages[1].parts
        assert (sent.text, sent.seal, sent.wire) == ("Let me see.", "SEAL", "anthropic")  # type: ignore[union-attr]
        pieces = await streamed(node, wants())  # the last script again: no seal
        assert not any(piece.HasField("sealed") for piece in pieces)


async def test_a_chat_takes_none_of_it() -> None:
    async with served_node() as node:
        options = models_pb2.GenerationOptions(
            logprobs=1, chosen_tool="a", parallel_tool_calls=True
        )
        request = ask("Hi", options=options)
        refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
        assert set(refusal.fields) == {
            "options.logprobs",
            "options.chosen_tool",
            "options.parallel_tool_calls",
        }


def two_rounds(asked: Asked) -> Plan:
    if asked.number:
        return Plan.of("Sunny.")
    rome = Proposed("c1", "weather", ('{"city":', '"Rome"}'))
    return Plan((rome, Proposed("c2", "clock", ("{}",))))


@pytest.mark.parametrize("format", ["chat", "responses", "messages", "gemini"])
async def test_a_round_with_a_real_provider(format: str) -> None:
    deployment = replace(ABLE, max_output_tokens=1_000)
    async with (
        provider(format, two_rounds, deployment=deployment) as (model, server),
        served_node(model) as node,
    ):
        pieces = await streamed(node, wants())
        calls = [p.complete for p in pieces[-1].tool_calls]
        assert [(c.tool, c.arguments_json.replace(" ", "")) for c in calls] == [
            ("weather", '{"city":"Rome"}'),
            ("clock", "{}"),
        ]
        results = [result(call.call_id, f"of {call.tool}") for call in calls]
        answer = await node.stubs.models.Generate(
            wants(user("Weather in Rome?"), proposing(*calls), *results), metadata=node.key()
        )
        assert answer.message.parts[0].text == "Sunny."
        sent = str(server.records[1].body)
        assert "of weather" in sent
        assert "of clock" in sent
