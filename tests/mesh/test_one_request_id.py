"""The same request id, sent many times at once and again after a restart: one turn, one charge."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from colonnade.client import Client
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings

REQUEST = ChatRequest(request_id="fifty", message=Message(parts=[Part(text="Say it once.")]))
TIMES = 50


def whole_stream(client: Client) -> bytes:
    """Everything that one call is sent."""
    call = client.stubs.chat.StreamChat(REQUEST, timeout=30, metadata=client.metadata)
    return b"".join(message.SerializeToString() for message in call)


async def test_fifty_at_once_and_again_after_a_restart(tmp_path: Path) -> None:
    texts = [f"part {number}, " for number in range(30)]
    async with ChatServerDouble(Stream.of(*texts, pause=0.01)) as upstream:
        await asyncio.to_thread(_fifty, tmp_path, upstream)
        assert len(upstream.requests) == 1


def _fifty(folder: Path, upstream: ChatServerDouble) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:
        with server.client() as client, ThreadPoolExecutor(TIMES) as pool:
            streams = set(pool.map(lambda _: whole_stream(client), range(TIMES)))
            assert len(streams) == 1
            first = client.turn(request_id="fifty")
        assert server.stop() == 0
        server.start()
        with server.client() as client:
            assert whole_stream(client) in streams
            turn = client.turn(request_id="fifty")
            assert turn == first
            unary = client.stubs.chat.Chat(REQUEST, timeout=30, metadata=client.metadata)
            assert unary.answer == turn.answer
        usage = {call["turn_id"]: call["token_count"] for call in server.calls() if call["turn_id"]}
        assert len(usage) == 1
