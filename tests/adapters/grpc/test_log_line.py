"""The one log line of every call, of whatever kind and however it ends."""

from __future__ import annotations

from collections.abc import AsyncIterable
from decimal import Decimal
from typing import Any

import pytest

from colonnade.v1.chat_pb2 import GetTurnRequest, ResumeChatRequest
from colonnade.v1.conversations_pb2 import CreateConversationRequest
from colonnade.v1.counting_pb2 import CountTokensRequest
from colonnade.v1.embeddings_pb2 import EmbedRequest
from colonnade.v1.knowledge_pb2 import GetCollectionRequest
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.retrieval_pb2 import BuildContextRequest, SearchRequest
from fakes.language_model import script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, pieces, served_node, user

FIELDS = {
    "request_id",
    "tenant_id",
    "user_id",
    "prompt_version",
    "model_version",
    "retrieved_doc_ids",
    "tool_calls",
    "latency_ms",
    "token_count",
    "cost",
    "validation_status",
}
DOCS = ["collections/docs"]
UNKNOWN: dict[str, object] = {
    "request_id": None,
    "prompt_version": None,
    "model_version": None,
    "retrieved_doc_ids": [],
    "tool_calls": [],
    "token_count": None,
    "cost": None,
    "validation_status": None,
}


async def line_of(node: ServedNode, call: Any) -> dict[str, Any]:
    """The line of this call, which is the only one that runs."""
    before = len(node.lines())
    if isinstance(call, AsyncIterable):
        async for _ in call:
            pass
    await call.code()
    line = (await node.logged(count=before + 1))[-1]
    assert line.keys() >= FIELDS
    assert (line["tenant_id"], line["user_id"]) == ("acme", "ann")
    assert line["latency_ms"] > 0
    return line


def known(line: dict[str, Any]) -> dict[str, Any]:
    """What the line knows beyond who called and how long it took."""
    told = {key: line[key] for key in UNKNOWN}
    return {key: value for key, value in told.items() if value != UNKNOWN[key]}


@pytest.fixture
async def document(node: ServedNode) -> str:
    kept = await node.ingest(pieces("docs", {"a.md": b"The gate closes at nine."}))
    return kept.results[0].document.rpartition("/")[2]


async def test_a_chat_tells_prompt_model_tokens_and_cost(node: ServedNode) -> None:
    call = node.stubs.chat.Chat(ask(request_id="r1"), metadata=node.key())
    line = await line_of(node, call)
    turn = await call
    assert line["status"] == "OK"
    assert line["turn_id"] == turn.turn_id
    used = turn.usage.prompt_tokens + turn.usage.output_tokens
    assert known(line) == {
        "request_id": "r1",
        "prompt_version": turn.prompt_version,
        "model_version": "strong",
        "token_count": used,
        "cost": turn.cost.amount,
    }
    assert Decimal(line["cost"]) == Decimal(used) / 1_000_000
    assert not line["attached"]
    for method in (node.stubs.chat.StreamChat, node.stubs.chat.Chat):
        again: Any = method(ask(request_id="r1"), metadata=node.key())
        assert (await line_of(node, again))["attached"]


async def test_a_grounded_chat_tells_its_documents_and_the_verdict() -> None:
    async with served_node(script("The gate closes at nine [1].")) as node:
        kept = await node.ingest(pieces("docs", {"a.md": b"The gate closes at nine."}))
        request = ask("When does the gate close?", collections=DOCS, request_id="r1")
        line = await line_of(node, node.stubs.chat.StreamChat(request, metadata=node.key()))
        assert line["retrieved_doc_ids"] == [kept.results[0].document.rpartition("/")[2]]
        assert line["validation_status"] == "PASS"
        assert line["model_version"] == "strong"
        assert line["messages"] > 1


async def test_other_methods_tell_what_they_know(node: ServedNode, document: str) -> None:
    stubs = node.stubs
    created = CreateConversationRequest(request_id="c1")
    search = SearchRequest(query="gate", collections=DOCS)
    context = BuildContextRequest(query="gate", collections=DOCS)
    generate = GenerateRequest(messages=[user("Hi")], request_id="g1")
    found = {"retrieved_doc_ids": [document]}
    spent = {"request_id": "g1", "model_version": "strong", "token_count": 6, "cost": "0.000006"}
    calls: list[tuple[Any, Any, dict[str, Any]]] = [
        (stubs.conversations.CreateConversation, created, {"request_id": "c1"}),
        (stubs.retrieval.Search, search, found),
        (stubs.retrieval.BuildContext, context, found),
        (stubs.models.Generate, generate, spent),
        (stubs.models.Embed, EmbedRequest(texts=["a"]), {"model_version": "fake@1"}),
        (stubs.models.CountTokens, CountTokensRequest(text="a"), {"model_version": "strong"}),
        (stubs.knowledge.GetCollection, GetCollectionRequest(name=DOCS[0]), {}),
        (stubs.knowledge.IngestDocuments, pieces("docs", {}), {}),
    ]
    for method, request, expected in calls:
        line = await line_of(node, method(request, metadata=node.key()))
        assert known(line) == expected, line["method"]
        assert (line["status"], line["reason"]) == ("OK", None)


async def test_a_look_at_a_turn_names_it(node: ServedNode) -> None:
    turn = await node.stubs.chat.Chat(ask(request_id="r1"), metadata=node.key())
    look = GetTurnRequest(turn_id=turn.turn_id)
    line = await line_of(node, node.stubs.chat.GetTurn(look, metadata=node.key()))
    assert (line["turn_id"], line["request_id"]) == (turn.turn_id, "r1")
    read = ResumeChatRequest(turn_id=turn.turn_id)
    line = await line_of(node, node.stubs.chat.ResumeChat(read, metadata=node.key()))
    assert line["turn_id"] == turn.turn_id


async def test_a_refused_call_has_its_line_too(node: ServedNode) -> None:
    refusal = await refused(node.stubs.chat.StreamChat(ask(""), metadata=node.key()))
    line = await node.line(refusal.call_id)
    assert (line["status"], line["reason"]) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert (line["messages"], line["first_message_ms"]) == (0, None)
    nobody = await refused(node.stubs.chat.StreamChat(ask()))
    line = await node.line(nobody.call_id)
    assert line.keys() >= FIELDS
    assert (line["status"], line["reason"]) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
    assert (line["tenant_id"], line["user_id"]) == (None, None)
