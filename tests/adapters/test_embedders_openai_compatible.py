"""The embedder of any server with POST /v1/embeddings, and what such servers get wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.embedders.batching import BatchLimits
from adapters.embedders.embedding_server import EmbeddingServer
from adapters.embedders.embeddings_wire import unit_vectors
from adapters.embedders.openai_compatible import OpenAICompatibleEmbedder
from core.errors import Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.embedder import TextKind
from core.resilience.retries import NO_RETRIES
from fakes.embedding_server import (
    DIMENSIONS,
    KEY,
    MODEL,
    EmbeddingServerDouble,
    Fault,
    recorded_reply,
)


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServerDouble]:
    async with EmbeddingServerDouble() as double:
        yield double


@pytest.fixture
def settings(server: EmbeddingServerDouble) -> EmbeddingServer:
    return EmbeddingServer(server.url, MODEL, DIMENSIONS, api_key=KEY, retry=NO_RETRIES)


@pytest.fixture
async def embedder(settings: EmbeddingServer) -> AsyncIterator[OpenAICompatibleEmbedder]:
    made = OpenAICompatibleEmbedder(settings)
    yield made
    await made.close()


async def test_the_request_has_model_texts_and_key(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble
) -> None:
    await embedder.embed(["one"], TextKind.QUERY)

    assert server.requests == [{"model": MODEL, "input": ["one"], "encoding_format": "float"}]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_vectors_follow_the_index_and_not_the_order_of_the_reply(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble
) -> None:
    expected = await embedder.embed(["one", "two", "three"], TextKind.DOCUMENT)
    server.shuffled = True

    assert await embedder.embed(["one", "two", "three"], TextKind.DOCUMENT) == expected


async def test_base64_is_read_as_well(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble
) -> None:
    expected = await embedder.embed(["one"], TextKind.DOCUMENT)
    server.as_base64 = True

    [vector] = await embedder.embed(["one"], TextKind.DOCUMENT)

    assert vector.tolist() == pytest.approx(expected[0].tolist(), abs=1e-6)


async def test_no_request_is_beyond_the_batch_limit(
    server: EmbeddingServerDouble, settings: EmbeddingServer
) -> None:
    embedder = OpenAICompatibleEmbedder(replace(settings, batch=BatchLimits(3, 10_000)))

    vectors = await embedder.embed([f"text {n}" for n in range(8)], TextKind.DOCUMENT)

    assert len(vectors) == 8
    assert [len(list(r["input"])) for r in server.requests if isinstance(r["input"], list)] == [
        3,
        3,
        2,
    ]
    await embedder.close()


async def test_prefixes_and_shortening_are_sent(
    server: EmbeddingServerDouble, settings: EmbeddingServer
) -> None:
    wanted = replace(settings, query_prefix="query: ", document_prefix="passage: ", shorten=True)
    embedder = OpenAICompatibleEmbedder(wanted)

    await embedder.embed(["a"], TextKind.QUERY)
    await embedder.embed(["a"], TextKind.DOCUMENT)

    assert [request["input"] for request in server.requests] == [["query: a"], ["passage: a"]]
    assert server.requests[0]["dimensions"] == DIMENSIONS
    await embedder.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_unavailable_with_the_servers_advice(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble, status: int
) -> None:
    server.status, server.retry_after = status, "17"

    with pytest.raises(Unavailable, match=str(status)) as caught:
        await embedder.embed(["one"], TextKind.QUERY)

    assert caught.value.retry_after == 17.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelErrorKind.BAD_REQUEST),
        (401, ModelErrorKind.AUTHENTICATION),
        (403, ModelErrorKind.AUTHENTICATION),
        (404, ModelErrorKind.UNSUPPORTED),
        (413, ModelErrorKind.CONTEXT_TOO_LONG),
        (422, ModelErrorKind.BAD_REQUEST),
        (204, ModelErrorKind.BAD_REQUEST),
    ],
)
async def test_what_will_not_pass_is_a_model_error(
    embedder: OpenAICompatibleEmbedder,
    server: EmbeddingServerDouble,
    status: int,
    kind: ModelErrorKind,
) -> None:
    server.status = status

    with pytest.raises(ModelError) as caught:
        await embedder.embed(["one"], TextKind.QUERY)

    assert caught.value.kind is kind


@pytest.mark.parametrize(
    "fault",
    [
        Fault.NOT_JSON,
        Fault.ONE_VECTOR_SHORT,
        Fault.INDEX_TWICE,
        Fault.WRONG_DIMENSIONS,
        Fault.NOT_A_NUMBER,
        Fault.ZERO_VECTOR,
        Fault.BROKEN_BASE64,
        Fault.ENDLESS_BODY,
    ],
)
async def test_a_reply_that_makes_no_sense_is_never_taken_for_vectors(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble, fault: Fault
) -> None:
    server.fault = fault

    with pytest.raises(ModelError) as caught:
        await embedder.embed(["one", "two"], TextKind.DOCUMENT)

    assert caught.value.kind is ModelErrorKind.MALFORMED_STREAM


@pytest.mark.parametrize("fault", [Fault.HANGS_UP, Fault.CUTS_THE_BODY])
async def test_a_broken_connection_is_unavailable(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble, fault: Fault
) -> None:
    server.fault = fault

    with pytest.raises(Unavailable, match="connection"):
        await embedder.embed(["one"], TextKind.QUERY)

    server.fault = None
    assert await embedder.embed(["one"], TextKind.QUERY)


async def test_nobody_listening_is_unavailable(settings: EmbeddingServer) -> None:
    embedder = OpenAICompatibleEmbedder(replace(settings, base_url="http://127.0.0.1:1/v1"))

    with pytest.raises(Unavailable, match="connection"):
        await embedder.embed(["one"], TextKind.QUERY)
    await embedder.close()


async def test_a_server_that_stalls_is_given_up(
    server: EmbeddingServerDouble, settings: EmbeddingServer
) -> None:
    server.fault = Fault.STALLS
    embedder = OpenAICompatibleEmbedder(replace(settings, timeout=Seconds(0.05)))

    with pytest.raises(Unavailable, match=r"within 0\.05 s"):
        await embedder.embed(["one"], TextKind.QUERY)
    await embedder.close()


async def test_a_cancel_ends_the_request_at_once(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble
) -> None:
    server.fault = Fault.STALLS
    waiting = asyncio.create_task(embedder.embed(["one"], TextKind.QUERY))
    await server.stalled.wait()

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_key_follows_no_redirect(
    embedder: OpenAICompatibleEmbedder, server: EmbeddingServerDouble
) -> None:
    server.fault = Fault.REDIRECTS

    with pytest.raises(ModelError, match="307"):
        await embedder.embed(["one"], TextKind.QUERY)

    assert server.redirected_to == []


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_no_error_tells_the_key_or_what_the_server_said(
    embedder: OpenAICompatibleEmbedder,
    server: EmbeddingServerDouble,
    settings: EmbeddingServer,
    status: int,
) -> None:
    server.status = status

    with pytest.raises((ModelError, Unavailable)) as caught:
        await embedder.embed(["a confidential text"], TextKind.QUERY)

    said = f"{caught.value} {caught.value.metadata} {caught.value.__cause__} {settings}"
    assert KEY not in said
    assert "confidential" not in said
    assert "logged" not in said


def test_the_shape_of_a_recorded_reply_is_read() -> None:
    [row] = unit_vectors(recorded_reply(), count=1, dimensions=2).tolist()

    assert row == pytest.approx([0.6, 0.8])


def test_a_name_of_ones_own_is_what_collections_record(settings: EmbeddingServer) -> None:
    named = OpenAICompatibleEmbedder(replace(settings, name="house-model@3"))

    assert named.name == "house-model@3"
    assert OpenAICompatibleEmbedder(settings).name == f"remote-{MODEL}-{DIMENSIONS}"
