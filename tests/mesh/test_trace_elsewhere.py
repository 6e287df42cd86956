"""Calls of models in another process: trace and deadline reach the provider, reranking works."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import grpc
import pytest

from adapters.grpc.clients.channel import MeshTarget, open_channel
from adapters.grpc.clients.gateway import SERVICE
from adapters.grpc.clients.reranking import RerankingClient
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnaded.identity import system_clock
from core.call import Call
from core.identifiers import ApiKeyId, CallId, Seconds, TenantId, UserId
from core.principal import Principal
from core.reranking import Reranked, RerankOrder
from fakes.chat_server import ChatServerDouble, Stream
from fakes.provider_server import Plan, ProviderServer
from mesh.mesh_of_two import mesh

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = (("traceparent", PARENT), ("tracestate", "a=1"))
RERANKER = """forward_trace = true
[rerankers.far]
adapter = "server"
base_url = "{url}"
model = "m"
price = 2
"""
WORDS = [f"word{number} " for number in range(500)]


def asking(text: str) -> ChatRequest:
    return ChatRequest(message=Message(parts=[Part(text=text)]))


def answer(body: dict[str, object]) -> Stream:
    return Stream.of(*WORDS, pause=0.02) if "slowly" in str(body) else Stream.of("Hello.")


async def test_a_trace_and_a_deadline_reach_the_provider(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(choose=answer) as upstream,
        ProviderServer(lambda _: Plan.of("0.2", "0.9")) as scorer,
    ):
        more = RERANKER.format(url=scorer.url("rerank"))
        await asyncio.to_thread(_asked, tmp_path, upstream.url, more)
        headers = upstream.headers[0]
        assert (headers.get("traceparent"), headers.get("tracestate")) == (PARENT, "a=1")
        await asyncio.wait_for(upstream.gone.wait(), 5)


def _asked(folder: Path, url: str, more: str) -> None:
    """One question with a trace, one whose deadline is too soon, and documents in order."""
    with mesh(folder, url, more=more) as two, two.chat.client() as client:
        metadata = (*client.metadata, *TRACE)
        client.stubs.chat.Chat(asking("Hi"), timeout=30, metadata=metadata)
        with pytest.raises(grpc.RpcError) as caught:
            client.stubs.chat.Chat(asking("Count slowly."), timeout=2, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        made = asyncio.run(_reranked(two.models[0].address, (folder / "mesh.key").read_text()))
        assert [each.index for each in made.ranked] == [1, 0]
        assert (made.model, made.usage.prompt, made.cost) == ("far", 3, Decimal("0.000006"))
        line = two.models[0].wait_for_call("call-of-ann")
        assert (line["tenant_id"], line["user_id"], line["cost"]) == ("acme", "ann", "0.000006")


async def _reranked(address: str, key: str) -> Reranked:
    """As a process without models of its own would ask."""
    principal = Principal(TenantId("acme"), UserId("ann"), ApiKeyId("k"), frozenset({"*"}))
    channel = open_channel(MeshTarget((address,), SERVICE))
    clock = system_clock()
    call = Call(principal, CallId("call-of-ann"), Seconds(clock.monotonic() + 10))
    try:
        client = RerankingClient(channel, key.strip, clock)
        return await client.rerank(call, RerankOrder("q", ("a", "b")))
    finally:
        await channel.close()
