"""Who may connect to NATS, over what, and that no secret gets where it does not belong."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.bus.nats import open_nats
from adapters.bus.nats_options import NatsOptions, NatsTls
from core.errors import Unavailable
from servers.nats import NatsServer

SECRET = "correct-horse"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl, which makes the certificate, is not here")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *about, *files], check=True, capture_output=True)
    return certificate, key


def started(folder: Path, settings: str) -> NatsServer:
    server = NatsServer(folder / "nats", settings)
    server.start()
    return server


def with_secret(options: NatsOptions, kind: str, secret: str) -> NatsOptions:
    if kind == "token":
        return replace(options, token=secret)
    return replace(options, user="us", password=secret)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("password", f'authorization {{ user: us, password: "{SECRET}" }}'),
        ("token", f'authorization {{ token: "{SECRET}" }}'),
    ],
)
async def test_only_the_right_secret_gets_in(tmp_path: Path, kind: str, settings: str) -> None:
    server = started(tmp_path, settings)
    options = NatsOptions((server.url,), required=True)
    bus = await open_nats(with_secret(options, kind, SECRET))
    assert await bus.flushed()
    await bus.close()
    with pytest.raises(Unavailable) as refused:
        await open_nats(with_secret(options, kind, "wrong-" + SECRET))
    assert "Authorization" in refused.value.message
    assert SECRET not in refused.value.message
    server.stop()


def test_options_show_no_secret() -> None:
    shown = repr(NatsOptions(("nats://h:1",), user="us", password=SECRET))
    shown += repr(NatsOptions(("nats://h:1",), token=SECRET))
    assert SECRET not in shown


@pytest.mark.parametrize("server", [f"nats://us:{SECRET}@h:1", f"nats://{SECRET}@h:1"])
def test_an_address_with_a_secret_is_refused_and_not_repeated(server: str) -> None:
    with pytest.raises(ValueError, match="password") as refused:
        NatsOptions((server,))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("server", ["http://h:1", "h:1", "nats://", ""])
def test_an_address_of_something_else_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="address"):
        NatsOptions((server,))


@pytest.mark.parametrize("prefix", ["", "a.*", "a..b", ">", "a b", ".a"])
def test_a_prefix_with_wildcards_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        NatsOptions(("nats://h:1",), prefix=prefix)


async def test_with_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    served, key = certificate
    server = started(tmp_path, f'tls {{ cert_file: "{served}", key_file: "{key}" }}')
    trusting = NatsOptions((server.url,), required=True, tls=NatsTls(ca=served))
    bus = await open_nats(trusting)
    assert await bus.flushed()
    await bus.close()
    with pytest.raises(Unavailable, match="ertificate"):
        await open_nats(NatsOptions((server.url,), required=True, tls=NatsTls()))
    server.stop()


async def test_a_client_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    served, key = certificate
    files = f'cert_file: "{served}", key_file: "{key}", ca_file: "{served}"'
    server = started(tmp_path, f"tls {{ {files}, verify: true }}")
    ours = NatsTls(ca=served, certificate=served, key=key)
    bus = await open_nats(NatsOptions((server.url,), required=True, tls=ours))
    assert await bus.flushed()
    await bus.close()
    with pytest.raises(Unavailable):
        await open_nats(NatsOptions((server.url,), required=True, tls=NatsTls(ca=served)))
    server.stop()


async def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await open_nats(NatsOptions(("nats://127.0.0.1:1",), tls=NatsTls(ca=tmp_path / "none")))


@pytest.fixture
async def unencrypted() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that offers no encryption and keeps what it is sent."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"auth_required": true, "max_payload": 1000}\r\n')
        received.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], received
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_no_secret_goes_out_in_clear_where_tls_is_asked_for(
    unencrypted: tuple[int, list[bytes]], scheme: str
) -> None:
    port, received = unencrypted
    options = NatsOptions((f"{scheme}://127.0.0.1:{port}",), required=True)
    if scheme == "nats":
        options = replace(options, tls=NatsTls())
    for kind in ("password", "token"):
        with pytest.raises(Unavailable, match="NotEncrypted"):
            await open_nats(with_secret(options, kind, SECRET))
    assert SECRET.encode() not in b"".join(received)
