"""No key, header or proxy's password reaches an error, a log or a representation."""

from __future__ import annotations

import json
import logging
import ssl
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from adapters.models.openai_compatible import ChatServer, OpenAICompatible
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.chat_server import ChatServerDouble, Ending, HangUp, Refuse, Reply, Stream, chunk
from fakes.language_model import a_deployment

NOW = datetime(2026, 3, 4, tzinfo=UTC)
KEY = "sk-a-secret-of-the-test"
TOKEN = "a-token-in-a-header"
PASSWORD = "a-password-of-a-proxy"
RECORDINGS = Path(__file__).parent / "recordings"
HELLO = GenerationRequest((Message.of(Role.USER, "Hello"),))

LEAKS = json.dumps({"error": {"message": "x" * 280 + f" key {KEY} and {TOKEN} are wrong"}})


def adapter(url: str, **settings: object) -> OpenAICompatible:
    server = ChatServer(url, KEY, {"X-Token": TOKEN}, **settings)  # type: ignore[arg-type] # as given
    return OpenAICompatible(a_deployment(), server, now=lambda: NOW)


async def failure(model: OpenAICompatible) -> ModelError:
    with pytest.raises(ModelError) as caught:
        async for _ in model.stream(HELLO, timeout=Seconds(5)):
            pass
    await model.close()
    return caught.value


@pytest.mark.parametrize(
    "reply",
    [
        Refuse(400, LEAKS),
        Refuse(401, json.dumps({"error": {"message": f"Incorrect key: {KEY[:9]}***"}})),
        Refuse(500, f"<html>{KEY}</html>"),
        Stream([b"data: " + LEAKS.encode() + b"\n\n"]),
        Stream([chunk("half")], Ending.CUT),
        HangUp(),
    ],
    ids=["quoted", "in part", "as text", "in the stream", "cut", "hung up"],
)
async def test_errors_hide_secrets(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with ChatServerDouble(reply) as server:
        error = await failure(adapter(server.url))
    everything = "".join(traceback.format_exception(error)) + caplog.text + repr(error.metadata)
    for secret in (KEY, KEY[:9], TOKEN):
        assert secret not in everything
    assert len(error.message) <= 300


async def test_a_proxys_password_is_hidden() -> None:
    model = adapter("http://provider.invalid/v1", proxy=f"http://user:{PASSWORD}@127.0.0.1:1")
    error = await failure(model)
    assert error.kind is ModelErrorKind.CONNECTION
    assert PASSWORD not in "".join(traceback.format_exception(error))


def test_representations_hide_secrets() -> None:
    server = ChatServer("http://a/v1", KEY, {"X-Token": TOKEN}, proxy=f"http://u:{PASSWORD}@b")
    shown = repr(server) + repr(OpenAICompatible(a_deployment(), server, now=lambda: NOW))
    assert KEY not in shown
    assert TOKEN not in shown
    assert PASSWORD not in shown


class TestTls:
    """`loopback.pem` is a certificate of our own for 127.0.0.1, good for nothing else."""

    @pytest.fixture
    async def url(self) -> object:
        async def serve(request: web.Request) -> web.StreamResponse:
            body = b"".join(Stream.of("Hello").pieces)
            return web.Response(body=body, content_type="text/event-stream")

        application = web.Application()
        application.router.add_post("/v1/chat/completions", serve)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(RECORDINGS / "loopback.pem", RECORDINGS / "loopback.key")
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/v1"
        await runner.cleanup()

    async def test_a_certificate_that_is_given_is_trusted(self, url: str) -> None:
        model = adapter(url, ca_file=RECORDINGS / "loopback.pem")
        assert [event async for event in model.stream(HELLO, timeout=Seconds(5))]
        await model.close()

    async def test_an_unknown_certificate_is_not(self, url: str) -> None:
        assert (await failure(adapter(url))).kind is ModelErrorKind.CONNECTION

    def test_a_missing_file_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            adapter("https://a/v1", ca_file=tmp_path / "none.pem")
