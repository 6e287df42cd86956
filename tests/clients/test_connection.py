"""Where the client finds its server, and how it treats the connection."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from clients.either_client import Either, open_server
from colonnade.client import Client, NotFound
from colonnade.client.connection import Connection, channel_options, service_config


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("COLONNADE_ADDRESS", "COLONNADE_API_KEY", "COLONNADE_TLS_CA"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_anything_it_is_the_local_server_in_plain_text() -> None:
    connection = Connection.find()
    assert connection == Connection("127.0.0.1:7600")
    assert connection.metadata == ()
    assert connection.credentials() is None


def test_the_environment_is_asked_and_arguments_win(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(b"PEM")
    environment.setenv("COLONNADE_ADDRESS", "example.com:443")
    environment.setenv("COLONNADE_API_KEY", "ck_environment\n")
    environment.setenv("COLONNADE_TLS_CA", str(authority))
    found = Connection.find()
    assert (found.address, found.key, found.authority) == (
        "example.com:443",
        "ck_environment",
        b"PEM",
    )
    given = Connection.find("localhost:1", "ck_argument", "")
    assert (given.address, given.key, given.authority) == ("localhost:1", "ck_argument", None)
    assert given.metadata == (("authorization", "Bearer ck_argument"),)


def test_the_key_is_not_shown() -> None:
    assert "ck_secret" not in repr(Connection.find("localhost:1", "ck_secret"))


def test_an_authority_that_cannot_be_read_is_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("COLONNADE_TLS_CA", "/nowhere/ca.pem")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Client()


def test_the_service_config_names_methods_that_exist(contract: str) -> None:
    config = json.loads(json.dumps(service_config()))
    [methods] = config["methodConfig"]
    assert methods["name"]
    for name in methods["name"]:
        service = Default().FindServiceByName(name["service"])
        assert name["method"] in service.methods_by_name
        assert "Safe to retry" in comment_of(name["method"], contract)


@pytest.fixture(scope="module")
def contract() -> str:
    folder = Path(__file__).parents[2] / "proto" / "colonnade" / "v1"
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.proto")))


def comment_of(method: str, contract: str) -> str:
    before = contract.partition(f"rpc {method}(")[0]
    lines = before.splitlines()[::-1]
    comment = []
    for line in lines:
        if line.strip() and not line.strip().startswith("//"):
            break
        comment.append(line.strip(" /"))
    return " ".join(reversed(comment)).replace("safe to retry", "Safe to retry")


async def test_the_channel_takes_all_its_options() -> None:
    # gRPC ignores an option of a wrong type or value with no more than a line in its log.
    assert dict(channel_options())["grpc.keepalive_time_ms"] == 20_000
    channel = grpc.aio.insecure_channel("127.0.0.1:1", options=channel_options())
    await channel.close()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
async def test_health(kind: str) -> None:
    servicer = health.HealthServicer()
    server, address = await open_server(
        lambda server: health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    )
    serving, stopped = (
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    )
    await servicer.set("", serving)
    await servicer.set("colonnade.v1.ChatService", stopped)
    client = Either(kind, address)
    assert await client(lambda c: c.health()) is True
    assert await client(lambda c: c.health("colonnade.v1.ChatService")) is False
    with pytest.raises(NotFound):
        await client(lambda c: c.health("no.such.Service"))
    await server.stop(None)


def test_importing_the_client_brings_in_grpc_and_protobuf_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import colonnade.client;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name for name in found.stdout.split() if not name.startswith("_")}
    # grpc imports the packages of its own that happen to be installed.
    names -= {"grpc_tools", "grpc_health", "grpc_reflection", "cython_runtime"}
    assert names <= {"colonnade", "google", "grpc", "typing_extensions"}


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """It takes connections and stands still: the next attempt, or address, has its turn soon."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        options = {**dict(channel_options()), "grpc.use_local_subchannel_pool": 1}
        assert options["grpc.min_reconnect_backoff_ms"] == 5_000
        options["grpc.min_reconnect_backoff_ms"] = 200  # the same, in less time
        channel = grpc.insecure_channel(address, options=list(options.items()))
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # as gRPC sets it
        with channel, pytest.raises(grpc.RpcError) as refused:
            check(health_pb2.HealthCheckRequest(), timeout=15)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
