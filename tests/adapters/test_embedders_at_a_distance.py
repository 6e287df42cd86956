"""The embedder of a server that is far, slow or limited: repeats, batches at once, TLS, names."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.embedders.batching import BatchLimits
from adapters.embedders.embedding_server import EmbeddingServer
from adapters.embedders.openai_compatible import OpenAICompatibleEmbedder
from core.errors import Unavailable
from core.generation import ModelError
from core.identifiers import Seconds
from core.ports.embedder import CountingEmbedder, TextKind
from core.resilience.retries import RetryPolicy
from core.resilience.retry_after import retry_advice
from fakes.embedding_server import DIMENSIONS, KEY, MODEL, EmbeddingServerDouble, Fault

RECORDINGS = Path(__file__).parent / "recordings"
CERTIFICATE, CERTIFICATE_KEY = RECORDINGS / "loopback.pem", RECORDINGS / "loopback.key"
QUICK = RetryPolicy(base=Seconds(0.001), cap=Seconds(0.001))
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEXTS = [f"text {number}" for number in range(8)]


@asynccontextmanager
async def embedding(
    server: EmbeddingServerDouble, **settings: Any
) -> AsyncIterator[OpenAICompatibleEmbedder]:
    wanted = EmbeddingServer(server.url, MODEL, DIMENSIONS, api_key=KEY, retry=QUICK)
    made = OpenAICompatibleEmbedder(replace(wanted, **settings))
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServerDouble]:
    async with EmbeddingServerDouble() as double:
        yield double


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_what_may_pass_is_sent_again(server: EmbeddingServerDouble, status: int) -> None:
    server.statuses, server.retry_after = [status, status], "0"
    async with embedding(server) as embedder:
        made = await embedder.embed_counted(["one"], TextKind.QUERY)
    assert len(server.requests) == 3
    assert made.tokens == 7  # the refusals cost nothing, and are not counted


async def test_only_the_batch_that_failed_is_sent_again(server: EmbeddingServerDouble) -> None:
    server.statuses, server.retry_after = [200, 503], "0"
    async with embedding(server, batch=BatchLimits(2, 10_000), at_once=1) as embedder:
        vectors = await embedder.embed(TEXTS, TextKind.DOCUMENT)
        assert vectors == await embedder.embed(TEXTS, TextKind.DOCUMENT)
    assert [request["input"] for request in server.requests[:5]] == [
        ["text 0", "text 1"],
        ["text 2", "text 3"],
        ["text 2", "text 3"],
        ["text 4", "text 5"],
        ["text 6", "text 7"],
    ]


async def test_what_does_not_pass_is_given_up_with_the_latest_advice(
    server: EmbeddingServerDouble,
) -> None:
    server.status, server.retry_after = 503, "0"
    async with embedding(server) as embedder:
        with pytest.raises(Unavailable, match="503") as caught:
            await embedder.embed(["one"], TextKind.QUERY)
    assert (len(server.requests), caught.value.retry_after) == (3, 0.0)


async def test_who_wants_to_be_left_alone_for_long_is(server: EmbeddingServerDouble) -> None:
    server.status, server.retry_after = 429, "3600"
    async with embedding(server) as embedder:
        with pytest.raises(Unavailable) as caught:
            await embedder.embed(["one"], TextKind.QUERY)
    assert (len(server.requests), caught.value.retry_after) == (1, 3600.0)


async def test_a_server_that_is_down_is_not_asked_three_times_as_often(
    server: EmbeddingServerDouble,
) -> None:
    server.status, server.retry_after = 503, "0"
    async with embedding(server) as embedder:
        for _ in range(50):
            with pytest.raises(Unavailable):
                await embedder.embed(["one"], TextKind.QUERY)
    assert len(server.requests) <= 50 + 10 + 50 * 0.2 + 1


@pytest.mark.parametrize("status", [400, 401, 404, 413])
async def test_what_will_not_pass_is_not_sent_again(
    server: EmbeddingServerDouble, status: int
) -> None:
    server.status = status
    async with embedding(server) as embedder:
        with pytest.raises(ModelError):
            await embedder.embed(["one"], TextKind.QUERY)
    assert len(server.requests) == 1


async def test_a_connection_that_breaks_is_opened_anew(server: EmbeddingServerDouble) -> None:
    server.fault = Fault.HANGS_UP
    async with embedding(server) as embedder:
        with pytest.raises(Unavailable, match="connection"):
            await embedder.embed(["one"], TextKind.QUERY)
    assert len(server.requests) == 3


async def test_batches_of_one_call_go_out_together(server: EmbeddingServerDouble) -> None:
    server.together = 3
    async with embedding(server, batch=BatchLimits(2, 10_000), at_once=3) as embedder:
        made = await embedder.embed_counted(TEXTS, TextKind.DOCUMENT)
        alone = [(await embedder.embed([text], TextKind.DOCUMENT))[0] for text in TEXTS]
    assert server.most_at_once == 3
    assert made.vectors == alone
    assert made.tokens == 4 * 7


async def test_a_batch_that_fails_for_good_ends_the_others(server: EmbeddingServerDouble) -> None:
    server.statuses = [400]
    async with embedding(server, batch=BatchLimits(1, 10_000), at_once=2) as embedder:
        with pytest.raises(ModelError):
            await embedder.embed(TEXTS, TextKind.DOCUMENT)
        asked = len(server.requests)
        await embedder.embed(["after"], TextKind.QUERY)
    assert asked < len(TEXTS)
    assert server.requests[-1]["input"] == ["after"]


async def test_no_texts_need_no_request(server: EmbeddingServerDouble) -> None:
    async with embedding(server) as embedder:
        assert await embedder.embed_counted([], TextKind.QUERY) == ([], 0)
        assert isinstance(embedder, CountingEmbedder)
    assert server.requests == []


@pytest.mark.parametrize("mutual", [False, True], ids=["TLS", "mutual TLS"])
async def test_certificates_of_both_sides(mutual: bool) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE, CERTIFICATE_KEY)
    shown: dict[str, Any] = {"ca_file": CERTIFICATE}
    if mutual:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(CERTIFICATE)
        shown |= {"client_certificate": CERTIFICATE, "client_key": CERTIFICATE_KEY}
    async with EmbeddingServerDouble(tls) as server:
        async with embedding(server, **shown) as embedder:
            assert await embedder.embed(["one"], TextKind.QUERY)
        async with embedding(server) as embedder:
            with pytest.raises(Unavailable, match="Certificate"):
                await embedder.embed(["one"], TextKind.QUERY)


async def test_a_proxy_is_asked_for_the_server(server: EmbeddingServerDouble) -> None:
    proxy = server.url.removesuffix("/v1")
    address = "http://embeddings.invalid/v1"
    async with embedding(server, base_url=address, proxy=proxy) as embedder:
        assert await embedder.embed(["one"], TextKind.QUERY)
    assert server.headers[0]["Host"] == "embeddings.invalid"


async def test_headers_of_the_operator_win(server: EmbeddingServerDouble) -> None:
    headers = {"X-Team": "search", "authorization": "Basic abc"}
    async with embedding(server, headers=headers) as embedder:
        await embedder.embed(["one"], TextKind.QUERY)
    sent = {name.lower(): value for name, value in server.headers[0].items()}
    assert (sent["x-team"], sent["authorization"]) == ("search", "Basic abc")


def test_what_changes_the_vectors_changes_the_name() -> None:
    plain = EmbeddingServer("http://x/v1", MODEL, DIMENSIONS)
    asked = replace(plain, query_prefix="query: ")
    stored = replace(plain, document_prefix="query: ")
    names = {server.recorded_name for server in (plain, asked, stored)}
    assert len(names) == 3
    assert plain.recorded_name == f"remote-{MODEL}-{DIMENSIONS}"
    assert replace(asked, name="ours@2").recorded_name == "ours@2"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Tue, 24 Nov 2026 12:01:00 GMT"}, 60.0),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9999999"}, None),
        ({}, None),
    ],
)
def test_advice_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_advice(headers, NOON, limits=False) == seconds
