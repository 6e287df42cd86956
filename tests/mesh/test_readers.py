"""Readers of one turn: one that never reads slows nobody; one that leaves stops the spending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.turns_pb2 import FINISH_REASON_ABANDONED, FINISH_REASON_CANCELLED
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings

BIG = ["x" * 4096 + " "] * 256
"""A megabyte: far more than the windows of HTTP/2 and the buffers of a connection hold."""


def question(request_id: str, **fields: object) -> ChatRequest:
    message = Message(parts=[Part(text="Go on.")])
    return ChatRequest(request_id=request_id, message=message, **fields)  # type: ignore[arg-type]


async def test_a_reader_that_never_reads_slows_neither_provider_nor_peer(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*BIG)) as upstream:
        await asyncio.to_thread(_never_reads, tmp_path, upstream)


def _never_reads(folder: Path, upstream: ChatServerDouble) -> None:
    with (
        ServerProcess(folder, upstream_settings(upstream.url)) as server,
        server.client() as hung,
        server.client() as reading,
    ):
        stalled = hung.stubs.chat.StreamChat(question("big"), timeout=60, metadata=hung.metadata)
        turn_id = next(stalled).events[0].started.turn_id
        with reading.resume(turn_id) as stream:
            answer = stream.read_to_end()
        assert len(answer.text) == sum(map(len, BIG))
        assert reading.turn(turn_id).finish_reason == 1  # STOP: nothing waited for the other
        rest = "".join(event.delta.text for message in stalled for event in message.events)
        assert len(rest) == len(answer.text)  # and it has lost nothing when it reads at last


async def test_the_last_reader_leaves_and_the_provider_is_left(tmp_path: Path) -> None:
    await _leaves(tmp_path, detach=False)


async def test_a_detached_turn_goes_on_without_readers(tmp_path: Path) -> None:
    texts = [f"{number} " for number in range(50)]
    async with ChatServerDouble(Stream.of(*texts, pause=0.01)) as upstream:

        def run() -> str:
            with (
                ServerProcess(tmp_path, upstream_settings(upstream.url)) as server,
                server.client() as client,
            ):
                call = client.stubs.chat.StreamChat(
                    question("d", detach=True), timeout=10, metadata=client.metadata
                )
                turn_id = next(call).events[0].started.turn_id
                call.cancel()
                with client.resume(turn_id) as stream:
                    return stream.read_to_end().text

        assert await asyncio.to_thread(run) == "".join(texts)
        assert not upstream.gone.is_set()


async def test_a_cancel_stops_the_provider_within_a_second(tmp_path: Path) -> None:
    await _leaves(tmp_path, detach=True)


async def _leaves(folder: Path, *, detach: bool) -> None:
    """Start a long answer; then leave it, or cancel it where it is detached."""
    texts = [f"{number} " for number in range(2000)]
    loop = asyncio.get_running_loop()
    async with ChatServerDouble(Stream.of(*texts, pause=0.01)) as upstream:

        def gone() -> float:
            began = time.monotonic()
            asyncio.run_coroutine_threadsafe(upstream.gone.wait(), loop).result(10)
            return time.monotonic() - began

        await asyncio.to_thread(_leave, folder, upstream, gone, detach)


def _leave(
    folder: Path, upstream: ChatServerDouble, gone: Callable[[], float], detach: bool
) -> None:
    with (
        ServerProcess(folder, upstream_settings(upstream.url)) as server,
        server.client() as client,
    ):
        request = question("leave", detach=detach)
        call = client.stubs.chat.StreamChat(request, timeout=30, metadata=client.metadata)
        events = [event for _ in range(5) for event in next(call).events]
        turn_id = events[0].started.turn_id
        if detach:
            client.cancel(turn_id)
        else:
            call.cancel()
        assert gone() < 1.0
        with client.resume(turn_id) as stream:
            answer = stream.read_to_end()
        turn = client.turn(turn_id)
        assert turn.finish_reason == (
            FINISH_REASON_CANCELLED if detach else FINISH_REASON_ABANDONED
        )
        assert answer.text == turn.answer.parts[0].text
        assert turn.answer.partial
        assert turn.usage.estimated
        assert turn.usage.output_tokens > 0
