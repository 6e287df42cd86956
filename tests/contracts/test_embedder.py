"""What every embedder keeps: core.ports.embedder.Embedder."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from adapters.embedders.e5_nano import e5_nano
from adapters.embedders.embedding_server import EmbeddingServer
from adapters.embedders.minilm_onnx import minilm_onnx
from adapters.embedders.openai_compatible import OpenAICompatibleEmbedder
from adapters.embedders.sentence_transformers import (
    SentenceTransformerModel,
    sentence_transformer,
)
from core.errors import Unavailable
from core.knowledge import Vector
from core.ports.embedder import CountingEmbedder, Embedder, TextKind
from fakes.embedder import FakeEmbedder
from fakes.embedding_server import DIMENSIONS, MODEL, EmbeddingServerDouble

CAT = "The cat sleeps on the warm roof."
FELINE = "A cat sleeps on a warm roof in the sun."
BOND = "Interest rates of government bonds rose sharply."
ODD_TEXTS = ["", " ", "\n\t", "猫在屋顶上睡觉。", "🐈‍⬛ 🇨🇭 👩‍👩‍👧", "a\0b", "\ud800", "x"]
GROWS_EIGHTEENFOLD = "\ufdfa" * 4_000
ALONE_OR_TOGETHER = 1e-4  # padding changes the order of sums, and so the last bits


async def _fake(stack: AsyncExitStack) -> Embedder:
    return FakeEmbedder()


async def _minilm(stack: AsyncExitStack) -> Embedder:
    return minilm_onnx()


async def _e5(stack: AsyncExitStack) -> Embedder:
    return e5_nano()


async def _sentence_transformers(stack: AsyncExitStack) -> Embedder:
    return sentence_transformer(SentenceTransformerModel())


async def _openai_compatible(stack: AsyncExitStack) -> Embedder:
    server = await stack.enter_async_context(EmbeddingServerDouble())
    return OpenAICompatibleEmbedder(EmbeddingServer(server.url, MODEL, DIMENSIONS))


needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="the extra sentence-transformers is not installed",
)
ALL_EMBEDDERS = [
    pytest.param(_fake, id="fake"),
    pytest.param(_minilm, id="minilm_onnx"),
    pytest.param(_e5, id="e5_nano"),
    pytest.param(_sentence_transformers, id="sentence_transformers", marks=needs_extra),
    pytest.param(_openai_compatible, id="openai_compatible"),
]


@pytest.fixture(params=ALL_EMBEDDERS)
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    make: Callable[[AsyncExitStack], Awaitable[Embedder]] = request.param
    async with AsyncExitStack() as stack:
        made = await make(stack)
        stack.push_async_callback(made.close)
        yield made


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_vectors_are_float32_of_length_one(embedder: Embedder) -> None:
    for kind in TextKind:
        for vector in await embedder.embed([CAT, GROWS_EIGHTEENFOLD, *ODD_TEXTS], kind):
            assert (vector.format, vector.shape) == ("f", (embedder.dimensions,))
            assert math.isclose(cosine(vector, vector), 1.0, abs_tol=1e-4)


async def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = [BOND, "", FELINE * 20, CAT, FELINE, CAT, *(f"{CAT} {n}" for n in range(20))]

    together = await embedder.embed(texts, TextKind.DOCUMENT)

    for text, vector in zip(texts, together, strict=True):
        [alone] = await embedder.embed([text], TextKind.DOCUMENT)
        assert cosine(alone, vector) > 1 - ALONE_OR_TOGETHER


async def test_what_is_alike_is_near(embedder: Embedder) -> None:
    [cat] = await embedder.embed([CAT], TextKind.QUERY)
    feline, bond = await embedder.embed([FELINE, BOND], TextKind.DOCUMENT)

    assert cosine(cat, feline) > cosine(cat, bond)


async def test_the_same_text_has_the_same_vector(embedder: Embedder) -> None:
    first = await embedder.embed([CAT, BOND], TextKind.DOCUMENT)

    assert await embedder.embed([CAT, BOND], TextKind.DOCUMENT) == first


async def test_what_is_counted_grows_with_the_texts_or_is_unknown(embedder: Embedder) -> None:
    if not isinstance(embedder, CountingEmbedder):
        return  # it is said to count nothing, and nothing is booked for it
    one = await embedder.embed_counted([CAT], TextKind.DOCUMENT)
    two = await embedder.embed_counted([CAT, CAT + " " + BOND], TextKind.DOCUMENT)
    assert one.vectors == await embedder.embed([CAT], TextKind.DOCUMENT)
    if one.tokens is not None:
        assert 0 < one.tokens <= len(CAT.encode()) + 8
        assert two.tokens is not None
        assert two.tokens >= one.tokens


async def test_the_packaged_ones_count_as_their_tokenizers_do() -> None:
    for embedder, tokens in ((minilm_onnx(), 4), (e5_nano(), 8)):
        made = await embedder.embed_counted(["hello world"], TextKind.QUERY)
        assert made.tokens == tokens  # with those around a text, and E5's prefix
        await embedder.close()


async def test_no_texts_have_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([], TextKind.DOCUMENT) == []


async def test_an_endless_text_is_cut_to_the_window(embedder: Embedder) -> None:
    endless = f"{CAT} " * 30_000

    whole, more = await embedder.embed([endless, f"{endless}{BOND}"], TextKind.DOCUMENT)

    assert cosine(whole, more) > 1 - ALONE_OR_TOGETHER


async def test_calls_may_overlap(embedder: Embedder) -> None:
    texts = [f"{CAT} {number}" for number in range(12)]
    expected = await embedder.embed(texts, TextKind.DOCUMENT)

    calls = [embedder.embed([text], TextKind.DOCUMENT) for text in texts]
    overlapping = await asyncio.gather(*calls)

    for [vector], alone in zip(overlapping, expected, strict=True):
        assert cosine(vector, alone) > 1 - ALONE_OR_TOGETHER


async def test_a_cancelled_call_ends_and_the_next_one_is_served(embedder: Embedder) -> None:
    await embedder.embed([CAT], TextKind.DOCUMENT)
    running = asyncio.create_task(embedder.embed([f"{BOND} " * 20] * 200, TextKind.DOCUMENT))
    await asyncio.sleep(0)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(await embedder.embed([CAT], TextKind.QUERY)) == 1


async def test_closing_twice_is_closing_once(embedder: Embedder) -> None:
    await embedder.embed([CAT], TextKind.DOCUMENT)

    await embedder.close()
    await embedder.close()

    with pytest.raises(Unavailable, match="closed"):
        await embedder.embed([CAT], TextKind.DOCUMENT)


async def test_it_can_be_closed_before_its_first_use(embedder: Embedder) -> None:
    await embedder.close()


async def test_it_says_what_a_collection_records(embedder: Embedder) -> None:
    assert embedder.name
    assert embedder.dimensions > 0
    assert all(tag == tag.lower() and tag.isalpha() for tag in embedder.languages)
