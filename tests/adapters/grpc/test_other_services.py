"""Health, reflection and TLS: what stands beside our own services."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode, aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from adapters.grpc.server import GrpcServer, ServerOptions, Tls
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.conversations_pb2 import ListConversationsRequest
from colonnaded.container import SERVICES, Container
from fakes.language_model import Meet, script
from fakes.rich_errors import refused
from fakes.served_node import Metadata, ServedNode, ask, served_node

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


async def health(channel: aio.Channel, service: str = "") -> int:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    answer: HealthCheckResponse = await check(HealthCheckRequest(service=service))
    return answer.status


async def reflected(channel: aio.Channel, key: Metadata | None = None) -> list[str]:
    """The names of the services, as a tool that knows nothing of us asks for them."""
    asks = ServerReflectionRequest(list_services="*")
    ask_all = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    answers = ask_all(iter([asks]), metadata=key)
    return [service.name async for a in answers for service in a.list_services_response.service]


async def test_health_is_anonymous_and_told_for_each_service(node: ServedNode) -> None:
    for service in ("", *(service.full_name for service in SERVICES)):
        assert await health(node.channel, service) == SERVING
    with pytest.raises(aio.AioRpcError) as unknown:
        await health(node.channel, "colonnade.v1.Nothing")
    assert unknown.value.code() is StatusCode.NOT_FOUND


async def test_a_server_that_drains_says_so_and_lets_what_runs_end() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    async with served_node(script("One, ", Meet(reached, go_on), "two.")) as node:
        server: GrpcServer = await node.container.server.async_()
        call = node.stubs.chat.StreamChat(ask(), metadata=node.key())
        await reached.wait()
        await server.drain()
        for service in ("", "colonnade.v1.ChatService"):
            assert await health(node.channel, service) == NOT_SERVING
        refusal = await refused(node.stubs.chat.StreamChat(ask(), metadata=node.key()))
        assert (refusal.code, refusal.reason) == (StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        assert refusal.retry_after == 1.0
        go_on.set()
        said = [event.delta.text async for message in call for event in message.events]
        assert "".join(said) == "One, two."


async def test_reflection_is_open_on_loopback(node: ServedNode) -> None:
    names = await reflected(node.channel)
    assert {service.full_name for service in SERVICES} <= set(names)
    assert "grpc.health.v1.Health" in names


async def test_reflection_elsewhere_wants_a_key_whatever_its_scopes() -> None:
    def beyond_loopback(container: Container) -> None:
        args: tuple[Any, ...] = container.server.args
        *parts, _ = args
        options = ServerOptions(address="127.0.0.1:0", open_reflection=False)
        container.server.set_args(*parts, options)

    async with served_node(override=beyond_loopback) as node:
        answers = reflected(node.channel)
        with pytest.raises(aio.AioRpcError) as refusal:
            await answers
        assert refusal.value.code() is StatusCode.UNAUTHENTICATED
        key = await node.add_key("ck_nothing")
        assert "colonnade.v1.ChatService" in await reflected(node.channel, key)


async def test_reflection_can_be_turned_off() -> None:
    async with served_node(server={"reflection": False}) as node:
        with pytest.raises(aio.AioRpcError) as refusal:
            await reflected(node.channel)
        assert refusal.value.code() is StatusCode.UNIMPLEMENTED


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl, which makes the certificate, is not here")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *about, *files], check=True, capture_output=True)
    return certificate, key


async def test_with_a_certificate_only_tls_gets_in(certificate: tuple[Path, Path]) -> None:
    served, key = certificate
    tls = {"tls_certificate": served, "tls_key": key}
    async with served_node(server=tls) as node:
        port = node.address.rpartition(":")[2]
        trusted = grpc.ssl_channel_credentials(served.read_bytes())
        async with aio.secure_channel(f"localhost:{port}", trusted) as channel:
            stub = AsyncStubs.of(channel).conversations
            await stub.ListConversations(ListConversationsRequest(), metadata=node.key())
        strangers = grpc.ssl_channel_credentials()
        async with aio.secure_channel(f"localhost:{port}", strangers) as channel:
            call = AsyncStubs.of(channel).chat.Chat(ask(), metadata=node.key())
            assert await call.code() is StatusCode.UNAVAILABLE
        plain = node.stubs.chat.Chat(ask(), metadata=node.key())
        assert await plain.code() is StatusCode.UNAVAILABLE


async def test_a_port_that_is_taken_says_what_to_do(node: ServedNode) -> None:
    with pytest.raises(OSError, match="another process has the port"):
        async with served_node(server={"address": node.address}):
            pass


async def test_a_certificate_that_is_none_says_so(node: ServedNode) -> None:
    chain = await node.container.chain.async_()
    options = ServerOptions(address="127.0.0.1:0", tls=Tls(b"no certificate", b"no key"))
    with pytest.raises(OSError, match="certificate"):
        await GrpcServer({}, chain, options).open()
