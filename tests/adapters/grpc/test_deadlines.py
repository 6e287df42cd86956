"""Deadlines: the caller's, the server's, with and without `detach`; none of them harms a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from grpc import RpcError, StatusCode, insecure_channel

from colonnade.v1.chat_pb2 import ChatRequest, GetTurnRequest, ResumeChatRequest
from colonnade.v1.embeddings_pb2 import EmbedRequest
from colonnade.v1.knowledge_pb2_grpc import KnowledgeServiceStub
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.retrieval_pb2 import SearchRequest
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_DEADLINE,
    FINISH_REASON_STOP,
    TURN_STATE_FAILED,
    TURN_STATE_FINISHED,
    TURN_STATE_RUNNING,
    Turn,
)
from core.identifiers import TenantId
from core.knowledge import Vector
from core.ports.embedder import TextKind
from fakes.embedder import FakeEmbedder
from fakes.language_model import Hang, Meet, Wait, script
from fakes.rich_errors import Refusal, refused
from fakes.served_node import ServedNode, ask, pieces, served_node, user


async def get(node: ServedNode, request_id: str = "r1") -> Turn:
    request = GetTurnRequest(request_id=request_id)
    turn: Turn = await node.stubs.chat.GetTurn(request, metadata=node.key())
    return turn


async def stream(node: ServedNode, request: ChatRequest, timeout: float | None = None) -> Refusal:
    call = node.stubs.chat.StreamChat(request, metadata=node.key(), timeout=timeout)
    return await refused(call)


class SlowEmbedder(FakeEmbedder):
    pause = 0.0

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        await asyncio.sleep(self.pause)
        return await super().embed(texts, kind)


async def test_a_millisecond_is_too_short_and_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls of every kind, many at once, whose deadline passes wherever they happen to be."""
    embedder, brief = SlowEmbedder(), 0.001
    async with served_node(script(Wait(0.1), "Hello."), embedder=embedder) as node:
        await node.ingest(pieces("docs", {"a.md": b"The gate closes at nine."}))
        embedder.pause = 0.1
        search = SearchRequest(query="gate", collections=["collections/docs"])
        requests: list[tuple[Any, Any]] = [
            (node.stubs.chat.StreamChat, ask()),
            (node.stubs.chat.Chat, ask()),
            (node.stubs.models.Generate, GenerateRequest(messages=[user("Hi")])),
            (node.stubs.retrieval.Search, search),
        ]
        for _ in range(10):
            calls = [m(r, metadata=node.key(), timeout=brief) for m, r in requests]
            codes = await asyncio.gather(*(call.code() for call in calls))
            assert set(codes) == {StatusCode.DEADLINE_EXCEEDED}
            assert await asyncio.to_thread(ingest_code, node, brief) == codes[0]
        embedder.pause = 0.0
        await node.converse("Still there?")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def ingest_code(node: ServedNode, timeout: float) -> StatusCode:
    """How an ingest ends, by the blocking client: the other one's calls with a stream of
    requests may end in a way of its own when they are late.
    """
    documents = pieces("docs", {"b.md": b"Text."})
    with insecure_channel(node.address) as channel:
        ingest = KnowledgeServiceStub(channel).IngestDocuments
        with pytest.raises(RpcError) as late:
            ingest(documents, metadata=node.key(), timeout=timeout)
    return late.value.code()


async def test_without_detach_the_turn_ends_with_its_caller_and_is_booked() -> None:
    async with served_node(script("Half", Hang())) as node:
        told = await stream(node, ask(request_id="r1"), timeout=0.4)
        assert told.code is StatusCode.DEADLINE_EXCEEDED
        turn = await get(node)
        while turn.state == TURN_STATE_RUNNING:  # it settles just after its caller has gone
            turn = await get(node)
        assert (turn.state, turn.finish_reason) == (TURN_STATE_FAILED, FINISH_REASON_DEADLINE)
        assert (turn.answer.parts[0].text, turn.answer.partial) == ("Half", True)
        assert not turn.rerunnable
        async with node.state.snapshot(TenantId("acme")) as view:
            (line,) = await view.spending.lines(turn.turn_id)
        assert line.estimated
        resumed = node.stubs.chat.ResumeChat(
            ResumeChatRequest(turn_id=turn.turn_id), metadata=node.key()
        )
        refusal = await refused(resumed)
        assert (refusal.code, refusal.reason) == (
            StatusCode.DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED",
        )
        assert refusal.metadata == {"turn_id": turn.turn_id, "rerunnable": "false"}


async def test_with_detach_only_the_reader_ends() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    async with served_node(script("Half", Meet(reached, go_on), " and half")) as node:
        told = await stream(node, ask(request_id="r1", detach=True), timeout=0.4)
        assert told.code is StatusCode.DEADLINE_EXCEEDED
        assert (await get(node)).state == TURN_STATE_RUNNING
        go_on.set()
        turn = await node.stubs.chat.Chat(ask(request_id="r1"), metadata=node.key())
        assert (turn.state, turn.finish_reason) == (TURN_STATE_FINISHED, FINISH_REASON_STOP)
        assert turn.answer.parts[0].text == "Half and half"


@pytest.mark.parametrize(
    "server", [{"default_deadline_seconds": 0.3}, {"max_deadline_seconds": 0.3}]
)
async def test_where_the_caller_gives_none_the_server_has_one(server: dict[str, float]) -> None:
    given = 60.0 if "max_deadline_seconds" in server else None
    async with served_node(script(Hang()), server=server) as node:
        refusal = await stream(node, ask(request_id="r1"), timeout=given)
        turn = await get(node)
        assert (turn.state, turn.finish_reason) == (TURN_STATE_FAILED, FINISH_REASON_DEADLINE)
        assert (refusal.code, refusal.reason) == (
            StatusCode.DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED",
        )
        assert refusal.metadata == {"turn_id": turn.turn_id, "rerunnable": "true"}


async def test_the_servers_own_deadline_holds_for_every_method() -> None:
    reached = asyncio.Event()
    models, embedder = script(Meet(reached, asyncio.Event())), SlowEmbedder()
    embedder.pause = 60.0
    async with served_node(
        models,
        embedder=embedder,
        server={"default_deadline_seconds": 0.2, "drain_seconds": 0},
    ) as node:
        call = node.stubs.models.Embed(EmbedRequest(texts=["a"]), metadata=node.key())
        embed = await refused(call)
        assert (embed.code, embed.reason) == (StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert embed.metadata == {}
        detached = await stream(node, ask(request_id="r1", detach=True))
        turn = await get(node)
        assert turn.state == TURN_STATE_RUNNING
        assert (detached.code, detached.reason) == (
            StatusCode.DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED",
        )
        assert detached.metadata == {"turn_id": turn.turn_id, "rerunnable": "false"}


async def test_the_log_tells_a_passed_deadline_from_a_cancel() -> None:
    async with served_node(script(Hang())) as node:
        await stream(node, ask(), timeout=0.2)
        call = node.stubs.chat.StreamChat(ask(), metadata=node.key(), timeout=10)
        await anext(aiter(call))
        call.cancel()
        lines = await node.logged(count=2)
        assert [line["status"] for line in lines] == ["DEADLINE_EXCEEDED", "CANCELLED"]
