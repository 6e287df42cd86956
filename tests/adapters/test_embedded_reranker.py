"""The reranker on an embedder: pieces of long documents, words, and trouble of the embedder."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adapters.rerankers.embedded import MOST_PIECES, PIECE, EmbeddedReranker
from core.errors import Exhausted, Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.knowledge import Vector
from core.ports.embedder import Embedded, TextKind
from fakes.embedder import FakeEmbedder

PLENTY = Seconds(5.0)
PROSE = "Bread is made of flour and water, and baked in an oven. "


class Noting(FakeEmbedder):
    """Keeps what it was asked, and fails where it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.asked: list[tuple[TextKind, Sequence[str]]] = []

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        self.asked.append((kind, texts))
        if self.error is not None:
            raise self.error
        return await super().embed(texts, kind)


class Counting(Noting):
    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        return Embedded(await self.embed(texts, kind), len(texts))


async def test_a_long_document_is_found_by_the_part_that_answers() -> None:
    long = PROSE * 60 + "The keeper of the lighthouse lit the lamp."
    assert PIECE * 2 < len(long) < PIECE * MOST_PIECES
    reranker = EmbeddedReranker(Noting())
    scored = await reranker.rerank("lighthouse keeper", [PROSE * 60, long], timeout=PLENTY)
    assert scored.scores[1] > scored.scores[0]


async def test_pieces_end_between_words_and_are_bounded() -> None:
    embedder = Noting()
    await EmbeddedReranker(embedder).rerank("q", [PROSE * 1_000], timeout=PLENTY)
    (_, (kind, pieces)) = embedder.asked
    assert (kind, len(pieces)) == (TextKind.DOCUMENT, MOST_PIECES)
    assert "".join(pieces) == (PROSE * 1_000)[: len("".join(pieces))]
    assert all(len(piece) <= PIECE and piece.endswith(" ") for piece in pieces)


async def test_tokens_are_counted_where_the_embedder_counts() -> None:
    counted = await EmbeddedReranker(Counting()).rerank("q", ["a", "b"], timeout=PLENTY)
    assert counted.tokens == 3
    assert (await EmbeddedReranker(Noting()).rerank("q", ["a"], timeout=PLENTY)).tokens is None


@pytest.mark.parametrize(
    ("error", "kind", "wait"),
    [
        (Exhausted("busy", retry_after=Seconds(2.0)), ModelErrorKind.OVERLOADED, 2.0),
        (Unavailable("away", retry_after=Seconds(3.0)), ModelErrorKind.CONNECTION, 3.0),
        (ModelError(ModelErrorKind.AUTHENTICATION, "key"), ModelErrorKind.AUTHENTICATION, None),
    ],
)
async def test_trouble_of_the_embedder_is_a_models(
    error: Exception, kind: ModelErrorKind, wait: float | None
) -> None:
    with pytest.raises(ModelError) as caught:
        await EmbeddedReranker(Noting(error)).rerank("q", ["a"], timeout=PLENTY)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
