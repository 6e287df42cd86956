"""A trace, and a deadline, from a caller through two processes to the provider."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from fakes.chat_server import ChatServerDouble, Stream
from mesh.mesh_of_two import mesh

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = (("traceparent", PARENT), ("tracestate", "a=1"))
WORDS = [f"word{number} " for number in range(500)]


def asking(text: str) -> ChatRequest:
    return ChatRequest(message=Message(parts=[Part(text=text)]))


def answer(body: dict[str, object]) -> Stream:
    return Stream.of(*WORDS, pause=0.02) if "slowly" in str(body) else Stream.of("Hello.")


async def test_a_trace_and_a_deadline_reach_the_provider(tmp_path: Path) -> None:
    async with ChatServerDouble(choose=answer) as upstream:
        await asyncio.to_thread(_asked, tmp_path, upstream.url)
        headers = upstream.headers[0]
        assert (headers.get("traceparent"), headers.get("tracestate")) == (PARENT, "a=1")
        await asyncio.wait_for(upstream.gone.wait(), 5)


def _asked(folder: Path, url: str) -> None:
    """One question with a trace, and one whose deadline is too soon."""
    with mesh(folder, url, more="forward_trace = true\n") as two, two.chat.client() as client:
        metadata = (*client.metadata, *TRACE)
        client.stubs.chat.Chat(asking("Hi"), timeout=30, metadata=metadata)
        with pytest.raises(grpc.RpcError) as caught:
            client.stubs.chat.Chat(asking("Count slowly."), timeout=2, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
