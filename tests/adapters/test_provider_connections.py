"""How a provider is reached: certificates of both sides, a proxy, headers, and what is told of
a way that is closed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from core.generation import ModelError, ModelErrorKind, ModelFinished
from fakes.provider_formats import Counts, Progress, Say
from fakes.provider_formats_more import FORMATS
from fakes.provider_models import KEY, PROVIDERS, broken_answer, events_of, provider, provider_model

RECORDINGS = Path(__file__).parent / "recordings"
CERTIFICATE = RECORDINGS / "loopback.pem"
CERTIFICATE_KEY = RECORDINGS / "loopback.key"
"""A certificate of our own for 127.0.0.1, good for nothing else."""


@pytest.fixture(params=[False, True], ids=["TLS", "mutual TLS"])
async def tls_server(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, bool]]:
    """Its address, and whether it wants a client's certificate."""
    spelling = FORMATS["messages"]

    async def serve(received: web.Request) -> web.StreamResponse:
        counts, at = Counts(1, 1), Progress()
        body = spelling.begin({}, counts, at) + spelling.piece(Say("Hello"), at)
        body += spelling.end("stop", counts, at)
        return web.Response(body=body, content_type="text/event-stream")

    application = web.Application()
    application.router.add_post("/messages", serve)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE, CERTIFICATE_KEY)
    if request.param:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(CERTIFICATE)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}", request.param
    await runner.cleanup()


async def test_certificates_of_both_sides(tls_server: tuple[str, bool]) -> None:
    url, mutual = tls_server
    settings: dict[str, Any] = {"ca_file": CERTIFICATE}
    if mutual:
        settings |= {"client_certificate": CERTIFICATE, "client_key": CERTIFICATE_KEY}
    model = provider_model("messages", url, **settings)
    assert isinstance((await events_of(model))[-1], ModelFinished)
    await model.close()


async def test_a_client_that_shows_none_is_turned_away(tls_server: tuple[str, bool]) -> None:
    url, mutual = tls_server
    if mutual:
        model = provider_model("messages", url, ca_file=CERTIFICATE)
        assert (await broken_answer(model))[1].kind is ModelErrorKind.CONNECTION
        await model.close()


async def test_a_certificate_that_is_not_trusted_is_told(tls_server: tuple[str, bool]) -> None:
    model = provider_model("messages", tls_server[0])
    _, error = await broken_answer(model)
    assert error.kind is ModelErrorKind.CONNECTION
    assert "certificate is not trusted" in error.message
    await model.close()


@pytest.mark.parametrize(
    ("url", "settings", "said"),
    [
        ("http://provider.invalid/v1", {}, "host name is not known"),
        ("http://127.0.0.1:1/v1", {}, "refused"),
        ("https://provider.example/v1", {"proxy": "http://127.0.0.1:1"}, "proxy"),
        ("nonsense", {}, "no URL"),
    ],
)
@pytest.mark.parametrize("format", PROVIDERS)
async def test_what_is_wrong_with_the_way_is_told(
    format: str, url: str, settings: dict[str, Any], said: str
) -> None:
    model = provider_model(format, url, **settings)
    _, error = await broken_answer(model)
    assert error.kind is ModelErrorKind.CONNECTION
    assert said in error.message
    assert KEY not in error.message
    await model.close()


@pytest.mark.parametrize("format", PROVIDERS)
async def test_headers_of_the_operator_win(format: str) -> None:
    headers = {"X-Team": "lighthouse", "content-type": "application/json; charset=utf-8"}
    async with provider(format, headers=headers) as (model, server):
        await events_of(model)
    sent = server.records[0].headers
    assert sent["X-Team"] == "lighthouse"
    given = [value for name, value in sent.items() if name.lower() == "content-type"]
    assert given == ["application/json; charset=utf-8"]


async def test_a_token_that_is_missing_is_told() -> None:
    async def token() -> str:
        raise ModelError(ModelErrorKind.AUTHENTICATION, "there is no token")

    async with provider("gemini", token=token) as (model, server):
        _, error = await broken_answer(model)
        assert not server.records
    assert (error.kind, error.message) == (ModelErrorKind.AUTHENTICATION, "there is no token")


@pytest.mark.parametrize("format", PROVIDERS)
async def test_a_proxy_is_asked_for_the_provider(format: str) -> None:
    async with provider(format) as (_, server):
        proxy = server.url("azure")
        address = server.url(format).replace(proxy, "http://provider.invalid")
        model = provider_model(format, address, proxy=proxy)
        await events_of(model)
        await model.close()
        assert server.records[0].headers["Host"] == "provider.invalid"


def test_a_file_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    for name in ("ca_file", "client_certificate"):
        settings: dict[str, Any] = {name: tmp_path / "none.pem"}
        with pytest.raises(FileNotFoundError):
            provider_model("messages", "https://a/v1", **settings)
