"""SIGTERM: running streams end, new turns are refused, the exit is clean."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import grpc
import pytest

from colonnade.client import Client, ColonnadeError, RetryPolicy
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings

ONCE = RetryPolicy(start_attempts=1)


async def test_a_running_stream_is_finished_before_the_process_ends(tmp_path: Path) -> None:
    texts = [f"{number} " for number in range(60)]
    async with ChatServerDouble(Stream.of(*texts, pause=0.02)) as upstream:
        await asyncio.to_thread(_drained, tmp_path, upstream, texts)


def _drained(folder: Path, upstream: ChatServerDouble, texts: list[str]) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:
        with server.client() as client, client.stream("Count.") as stream:
            for event in stream:
                if event.delta.text:
                    server.process.send_signal(signal.SIGTERM)
                    break
            with (
                Client(address=server.address, policy=ONCE) as late,
                pytest.raises(ColonnadeError) as refused,
            ):
                late.ask("One more?")
            assert refused.value.code is grpc.StatusCode.UNAVAILABLE
            assert stream.read_to_end().text == "".join(texts)
        assert server.process.wait(timeout=10) == 0


async def test_what_does_not_end_in_time_is_interrupted_and_kept(tmp_path: Path) -> None:
    texts = [f"{number} " for number in range(3000)]
    async with ChatServerDouble(Stream.of(*texts, pause=0.01)) as upstream:
        await asyncio.to_thread(_interrupted, tmp_path, upstream)


def _interrupted(folder: Path, upstream: ChatServerDouble) -> None:
    settings = "[server]\ndrain_seconds = 0.2\n" + upstream_settings(upstream.url)
    with ServerProcess(folder, settings) as server:
        with server.client() as client, client.stream("Count.") as stream:
            for event in stream:
                if event.delta.text:
                    server.process.send_signal(signal.SIGTERM)
                    break
            answer = stream.read_to_end()
        assert answer.finish_reason == "INTERRUPTED"
        assert answer.text.startswith("0 1 2 ")
        assert server.process.wait(timeout=10) == 0
