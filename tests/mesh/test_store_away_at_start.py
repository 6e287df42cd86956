"""A server that starts while its database is away waits, is not ready, and says so."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from colonnade.client.statuses import failure_of
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.chat_pb2 import ChatRequest
from colonnaded.openers.store_wait import wait_for_store
from core.identifiers import Seconds
from core.ports.state import StoreUnavailable
from mesh.server_process import PATIENCE_S, ServerProcess
from servers.cutting_proxy import CuttingProxy
from servers.postgres import PostgresServer

STATE = """[state]
adapter = "postgres"
url = { env = "TEST_STATE_URL" }
connection_wait_seconds = 0.2
"""
Health = health_pb2.HealthCheckResponse


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def server(
    tmp_path: Path, postgres_server: PostgresServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> ServerProcess:
    """Not started; its database is reached by a port on which nobody listens yet."""
    monkeypatch.setenv("TEST_STATE_URL", postgres_server.url(postgres_server.new_database(), port))
    return ServerProcess(tmp_path, STATE)


async def health_of(channel: grpc.aio.Channel) -> int:
    check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # as gRPC sets it
    answer: health_pb2.HealthCheckResponse = await check(
        health_pb2.HealthCheckRequest(), timeout=PATIENCE_S, wait_for_ready=True
    )
    return answer.status


async def test_it_serves_once_the_store_is_there(
    server: ServerProcess, postgres_server: PostgresServer, port: int
) -> None:
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await health_of(channel) == Health.NOT_SERVING
        with pytest.raises(grpc.RpcError) as refused:
            await AsyncStubs.of(channel).chat.Chat(ChatRequest(), timeout=5)
        failure = failure_of(refused.value)
        assert (failure.code, failure.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
        )
        assert failure.retry_after is not None
    async with CuttingProxy.before(postgres_server.port, port):
        await starting
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert await health_of(channel) == Health.SERVING
        await asyncio.to_thread(server.stop)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    waiting = [line for line in lines if line["event"] == "waiting_for_store"]
    assert "cannot be reached" in waiting[0]["reason"]
    assert 0 < waiting[-1]["gives_up_after_seconds"] < 60


async def test_it_ends_when_it_is_told_to_while_it_waits(server: ServerProcess) -> None:
    def start_in_vain() -> None:
        with suppress(AssertionError):
            server.start()

    starting = asyncio.create_task(asyncio.to_thread(start_in_vain))
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await health_of(channel) == Health.NOT_SERVING
    server.process.send_signal(signal.SIGTERM)
    await starting
    assert await asyncio.to_thread(server.process.wait, PATIENCE_S) == 0


async def test_it_does_not_wait_for_ever() -> None:
    stood = []

    @asynccontextmanager
    async def meanwhile() -> AsyncIterator[None]:
        stood.append("up")
        yield
        stood.append("down")

    async def away() -> None:
        raise StoreUnavailable("it is away")

    told: list[str] = []
    with pytest.raises(StoreUnavailable):
        await wait_for_store(away, Seconds(0.1), lambda why, _: told.append(why), meanwhile)  # type: ignore[arg-type]  # it never comes
    assert told == ["it is away"]
    assert stood == ["up"]
