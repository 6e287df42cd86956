"""Chat requests that break a rule: the status, and the exact path of each field at fault."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from colonnade.v1.chat_pb2 import ChatRequest, PromptReference
from colonnade.v1.messages_pb2 import Image, Message, Part, Role, ToolCall, ToolResult
from colonnade.v1.models_pb2 import GenerationOptions, ModelConstraints
from colonnade.v1.retrieval_pb2 import Filter
from colonnade.v1.usage_pb2 import Money
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, user

UNKNOWN = 99
"""A number that a contract may get later."""


def said(*parts: Part, role: int = 0) -> Message:
    return Message(parts=parts, role=role)  # type: ignore[arg-type]  # numbers that there are not


def options(**fields: object) -> ChatRequest:
    return ask(options=GenerationOptions(**fields))  # type: ignore[arg-type]


def constraints(**fields: object) -> ChatRequest:
    return ask(constraints=ModelConstraints(**fields))  # type: ignore[arg-type]


def condition(attribute: str = "team", *values: str) -> Filter.Condition:
    return Filter.Condition(attribute=attribute, values=values)


def filtered(*conditions: Filter.Condition) -> ChatRequest:
    return ask(collections=["collections/c"], filter=Filter(conditions=conditions))


TEN_MEGABYTES = "x" * 10 * 1024 * 1024
CALL = ToolCall(call_id="c1", tool="clock")
PICTURE = Image(uri="https://example.org/a.png", media_type="image/png")

MESSAGES = {
    "no message": (ChatRequest(), ["message.parts"]),
    "no parts": (ChatRequest(message=Message()), ["message.parts"]),
    "empty text": (ask(""), ["message.parts"]),
    "blank text": (ask(" \n\t"), ["message.parts"]),
    "one empty part": (ChatRequest(message=user("Hi", "")), ["message.parts[1].text"]),
    "51 parts": (ChatRequest(message=user(*["a"] * 51)), ["message.parts"]),
    "10 MB": (ask(TEN_MEGABYTES), ["message.parts[0].text"]),
    "too long together": (
        ChatRequest(message=user("a" * 150_000, "b" * 50_001)),
        ["message.parts[1].text"],
    ),
    "an empty part": (ChatRequest(message=said(Part())), ["message.parts[0]"]),
    "unknown role": (ChatRequest(message=said(Part(text="a"), role=UNKNOWN)), ["message.role"]),
    "assistant asks": (
        ChatRequest(message=said(Part(text="a"), role=Role.ROLE_ASSISTANT)),
        ["message.role"],
    ),
    "picture alone": (ChatRequest(message=said(Part(image=PICTURE))), ["message.parts"]),
    "picture without anything": (
        ChatRequest(message=said(Part(text="a"), Part(image=Image()))),
        ["message.parts[1].image.uri", "message.parts[1].image.media_type"],
    ),
    "file as picture": (
        ChatRequest(
            message=said(
                Part(text="a"), Part(image=Image(uri="file:///etc/passwd", media_type="image/png"))
            )
        ),
        ["message.parts[1].image.uri"],
    ),
    "user calls": (
        ChatRequest(message=said(Part(text="a"), Part(tool_call=CALL))),
        ["message.parts[1]"],
    ),
}

HISTORY = {
    "101 messages": (ask(messages=[user("a")] * 101), ["messages"]),
    "two are wrong": (
        ask(messages=[user("a"), user(""), said(Part(text="a"), role=UNKNOWN)]),
        ["messages[1].parts", "messages[2].role"],
    ),
    "system in the middle": (
        ask(messages=[user("a"), said(Part(text="b"), role=Role.ROLE_SYSTEM)]),
        ["messages[1].role"],
    ),
    "with a conversation": (
        ask(conversation="conversations/c", messages=[user("a")]),
        ["messages"],
    ),
    "call without name": (
        ask(messages=[said(Part(tool_call=ToolCall()), role=Role.ROLE_ASSISTANT)]),
        ["messages[0].parts[0].tool_call.call_id", "messages[0].parts[0].tool_call.tool"],
    ),
    "arguments that are no object": (
        ask(
            messages=[
                said(
                    Part(tool_call=ToolCall(call_id="c", tool="t", arguments_json="[1]")),
                    role=Role.ROLE_ASSISTANT,
                )
            ]
        ),
        ["messages[0].parts[0].tool_call.arguments_json"],
    ),
    "result of no call": (
        ask(messages=[said(Part(tool_result=ToolResult(content="1")), role=Role.ROLE_TOOL)]),
        ["messages[0].parts[0].tool_result.call_id"],
    ),
}

NAMES = {
    "conversation": (ask(conversation="talk"), ["conversation"]),
    "conversation with a slash": (ask(conversation="conversations/../x"), ["conversation"]),
    "parent of another conversation": (
        ask(conversation="conversations/a", parent_message="conversations/b/messages/m"),
        ["parent_message"],
    ),
    "parent without conversation": (
        ask(parent_message="conversations/b/messages/m"),
        ["parent_message"],
    ),
    "parent that is none": (
        ask(conversation="conversations/a", parent_message="m"),
        ["parent_message"],
    ),
    "collections": (
        ask(collections=["collections/ok", "Docs", "collections/UP"]),
        ["collections[1]", "collections[2]"],
    ),
    "collection twice": (ask(collections=["collections/a"] * 2), ["collections"]),
    "21 collections": (
        ask(collections=[f"collections/c{number}" for number in range(21)]),
        ["collections"],
    ),
    "collections in mode CHAT": (ask(mode=1, collections=["collections/a"]), ["collections"]),
    "filter in mode CHAT": (ask(filter=Filter(conditions=[condition("a", "b")])), ["filter"]),
    "model": (ask(model="m" * 201), ["model"]),
    "feature": (ask(feature="f" * 201), ["feature"]),
    "language": (ask(language="x" * 36), ["language"]),
    "control characters in request_id": (ask(request_id="a\x00b\n"), ["request_id"]),
    "blank in request_id": (ask(request_id="a b"), ["request_id"]),
    "long request_id": (ask(request_id="r" * 129), ["request_id"]),
    "prompt without name": (
        ask(prompt=PromptReference(inputs={"a": "b"})),
        ["prompt.prompt"],
    ),
    "long prompt name": (ask(prompt=PromptReference(prompt="p" * 201)), ["prompt.prompt"]),
    "inputs": (
        ask(prompt=PromptReference(prompt="chat", inputs={"a-b": "", "c": "d" * 20_001})),
        ["prompt.inputs", "prompt.inputs.c"],
    ),
}

CHOICES = {
    "mode": (ask(mode=UNKNOWN), ["mode"]),
    "grounding": (ask(grounding=UNKNOWN), ["grounding"]),
    "grounding in mode CHAT": (ask(grounding=2), ["grounding"]),
    "tier": (constraints(tier=UNKNOWN), ["constraints.tier"]),
    "residency": (constraints(residency="r" * 65), ["constraints.residency"]),
    "no time": (constraints(latency_objective=Duration()), ["constraints.latency_objective"]),
    "no money": (constraints(max_cost=Money()), ["constraints.max_cost.amount"]),
    "debt": (constraints(max_cost=Money(amount="-1")), ["constraints.max_cost.amount"]),
    "exponent": (constraints(max_cost=Money(amount="1e3")), ["constraints.max_cost.amount"]),
    "heat": (options(temperature=2.1), ["options.temperature"]),
    "no heat": (options(temperature=float("nan")), ["options.temperature"]),
    "nucleus": (options(top_p=0), ["options.top_p"]),
    "no output": (options(max_output_tokens=0), ["options.max_output_tokens"]),
    "stop": (options(stop=["a", ""]), ["options.stop[1]"]),
    "nine stops": (options(stop=["a"] * 9), ["options.stop"]),
    "seed": (options(seed=-1), ["options.seed"]),
    "schema": (options(response_schema="{"), ["options.response_schema"]),
    "deep schema": (options(response_schema="[" * 100_000), ["options.response_schema"]),
    "tool choice": (options(tool_choice=UNKNOWN), ["options.tool_choice"]),
    "linger": (ask(linger=Duration(seconds=61)), ["linger"]),
    "negative linger": (ask(linger=Duration(nanos=-1)), ["linger"]),
    "turn timeout": (ask(turn_timeout=Duration()), ["turn_timeout"]),
    "condition without values": (filtered(condition()), ["filter.conditions[0].values"]),
    "attribute": (filtered(condition("a b", "c")), ["filter.conditions[0].attribute"]),
    "attribute twice": (
        filtered(condition("a", "b"), condition("a", "c")),
        ["filter.conditions[0].attribute", "filter.conditions[1].attribute"],
    ),
    "101 values": (
        filtered(condition("a", *map(str, range(101)))),
        ["filter.conditions[0].values"],
    ),
    "long value": (filtered(condition("a", "b" * 1001)), ["filter.conditions[0].values"]),
    "21 conditions": (
        filtered(*(condition(f"a{number}", "b") for number in range(21))),
        ["filter.conditions"],
    ),
}


@pytest.mark.parametrize("table", [MESSAGES, HISTORY, NAMES, CHOICES])
async def test_each_wrong_field_is_named(
    node: ServedNode, table: dict[str, tuple[ChatRequest, list[str]]]
) -> None:
    for name, (request, fields) in table.items():
        refusal = await refused(node.stubs.chat.StreamChat(request, metadata=node.key()))
        assert refusal.code is StatusCode.INVALID_ARGUMENT, name
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), name
        assert all(violation.description for violation in refusal.violations), name
        assert (await node.line(refusal.call_id))["turn_id"] is None  # nothing was claimed


async def test_what_is_wrong_in_many_places_is_told_together(node: ServedNode) -> None:
    request = ask("", mode=UNKNOWN, conversation="talk")
    request.options.temperature = 7
    refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
    assert refusal.fields == ["message.parts", "conversation", "mode", "options.temperature"]
    request = ask(model="m" * 201, language="x" * 36)
    refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
    assert refusal.fields == ["model", "language"]


async def test_a_refusal_fits_into_what_clients_take(node: ServedNode) -> None:
    """However much is wrong, the trailer stays below the 8 KiB that gRPC's clients allow."""
    wrong = user("", "好" * 200_001)
    for request in (
        ask(messages=[Message()] * 100, conversation="好" * 3000),
        ask(model="好" * 200),
        ChatRequest(message=wrong, prompt=PromptReference(prompt="chat", inputs={"x" * 64: "好"})),
    ):
        refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
        assert refusal.rich is not None
        assert refusal.rich.ByteSize() < 4096
        assert refusal.code in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


async def test_more_than_a_message_may_have_is_refused_unread(node: ServedNode) -> None:
    request = ask("x" * 17 * 1024 * 1024)
    refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
    assert refusal.code is StatusCode.RESOURCE_EXHAUSTED
    assert refusal.rich is None  # gRPC itself refuses it, so there is no reason of ours
    assert (await node.stubs.chat.Chat(ask(), metadata=node.key())).answer.parts[0].text
