"""CountTokens: what is counted, by whom, and how far from the truth it may be."""

from __future__ import annotations

from typing import Any

from grpc import StatusCode

from colonnade.v1 import counting_pb2, tools_pb2
from colonnade.v1.messages_pb2 import Image, Message, Part
from core.catalog import Capability
from fakes.provider_models import ABLE, provider
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, served_node, user
from fakes.turn_node import a_model

TOOL = tools_pb2.ToolDefinition(name="clock", description="Tells the time.")
PICTURE = Message(parts=[Part(image=Image(uri="https://a/b.png", media_type="image/png"))])


async def counted(node: ServedNode, **fields: Any) -> counting_pb2.CountTokensResponse:
    request = counting_pb2.CountTokensRequest(**fields)
    answer: counting_pb2.CountTokensResponse = await node.stubs.models.CountTokens(
        request, metadata=node.key()
    )
    return answer


async def test_tools_and_a_schema_are_part_of_the_prompt() -> None:
    async with served_node(a_model(capabilities=frozenset(Capability))) as node:
        plain = await counted(node, text="one two")
        assert (plain.tokens, plain.least_tokens) == (6, 6)
        assert plain.counting == counting_pb2.TOKEN_COUNTING_EXACT
        more = await counted(node, text="one two", tools=[TOOL], response_schema='{"a": 1}')
        schemas = len('clockTells the time.{"type": "object"}') + len('{"a": 1}')
        assert more.tokens == 6 + 512 + 32 + schemas + 64
        assert more.least_tokens == 6


async def test_a_provider_without_a_tokenizer_counts_bytes() -> None:
    async with provider("chat", deployment=ABLE) as (model, _), served_node(model) as node:
        plain = await counted(node, messages=[user("好" * 100)])
        assert plain.counting == counting_pb2.TOKEN_COUNTING_BYTES
        assert (plain.tokens, plain.least_tokens) == (300 + 64 + 8, 3)
        seen = await counted(node, messages=[user("好" * 100), PICTURE])
        assert seen.tokens - plain.tokens == 4_096 + 8 + 8


async def test_who_cannot_do_it_does_not_count_it() -> None:
    async with served_node(a_model(capabilities=frozenset())) as node:
        for fields in ({"text": "a", "tools": [TOOL]}, {"messages": [PICTURE]}):
            request = counting_pb2.CountTokensRequest(**fields)
            refusal = await refused(node.stubs.models.CountTokens(request, metadata=node.key()))
            assert refusal.reason == "FEATURE_UNSUPPORTED"


async def test_what_is_wrong_is_named(node: ServedNode) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"response_schema": "[]"}, "response_schema"),
        ({"tools": [tools_pb2.ToolDefinition(name="")]}, "tools[0].name"),
    ]
    for fields, at in cases:
        request = counting_pb2.CountTokensRequest(text="a", **fields)
        refusal = await refused(node.stubs.models.CountTokens(request, metadata=node.key()))
        assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, [at])
