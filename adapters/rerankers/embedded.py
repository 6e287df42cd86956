"""Documents scored by an embedder of this process, and by the words that they share.

The likeness is that of the query's vector to the nearest of the document's pieces, so that a long
document is found by the part that answers. The words tell apart what an embedder finds alike:
names, numbers, terms that it never saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.errors import Exhausted, Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.knowledge import Vector
from core.ports.embedder import CountingEmbedder, Embedded, Embedder, TextKind
from core.ports.reranker import Scored
from core.retrieval.blending import blended
from core.retrieval.lexical_scores import lexical_scores
from core.trace import TraceContext

PIECE = 1_000
"""Characters that are embedded at once: what the packaged embedder reads of a text, about."""
MOST_PIECES = 8
"""Of one document; what comes after them is cut off."""


class EmbeddedReranker:
    """A Reranker on an embedder, which belongs to somebody else and is not closed here."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._running: set[asyncio.Task[Scored]] = set()
        self._closed = False

    @property
    def name(self) -> str:
        """See Reranker."""
        return f"{self._embedder.name}+words"

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: Seconds,
        trace: TraceContext | None = None,
    ) -> Scored:
        """See Reranker. An embedder that does not count leaves the tokens unknown."""
        del trace  # nobody else is asked
        self._refuse_when_closed()
        if not documents:
            return Scored((), 0)
        task = asyncio.create_task(self._scored(query, documents))
        self._running.add(task)
        try:
            async with asyncio.timeout(timeout):
                return await task
        except TimeoutError:
            raise ModelError(
                ModelErrorKind.TIMEOUT, f"the reranker {self.name} had {timeout:g} s"
            ) from None
        except Exhausted as busy:
            raise ModelError(
                ModelErrorKind.OVERLOADED, busy.message, retry_after=busy.retry_after
            ) from None
        except Unavailable as away:
            raise ModelError(
                ModelErrorKind.CONNECTION, away.message, retry_after=away.retry_after
            ) from None
        except asyncio.CancelledError:
            if self._closed:
                self._refuse_when_closed()
            raise
        finally:
            task.cancel()
            self._running.discard(task)

    async def close(self) -> None:
        """See Reranker."""
        self._closed = True
        for task in self._running:
            task.cancel()

    async def _scored(self, query: str, documents: Sequence[str]) -> Scored:
        pieces = [list(_pieces(document)) for document in documents]
        flat = [piece for each in pieces for piece in each]
        asked = await self._embedded([query], TextKind.QUERY)
        made = await self._embedded(flat, TextKind.DOCUMENT)
        scores = await asyncio.to_thread(_scores, query, pieces, asked.vectors[0], made.vectors)
        known = asked.tokens is not None and made.tokens is not None
        return Scored(scores, (asked.tokens or 0) + (made.tokens or 0) if known else None)

    async def _embedded(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        if isinstance(self._embedder, CountingEmbedder):
            return await self._embedder.embed_counted(texts, kind)
        return Embedded(await self._embedder.embed(texts, kind), None)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ModelError(ModelErrorKind.CONNECTION, f"the reranker {self.name} was closed")


def _scores(
    query: str, pieces: Sequence[Sequence[str]], asked: Vector, vectors: Sequence[Vector]
) -> list[float]:
    """Blocks: some milliseconds for a hundred pages."""
    import numpy as np

    likeness: list[float] = []
    place = 0
    question = np.asarray(asked)
    for each in pieces:
        near = [float(np.dot(question, np.asarray(v))) for v in vectors[place : place + len(each)]]
        likeness.append(max(near))
        place += len(each)
    return blended(likeness, lexical_scores(query, ["".join(each) for each in pieces]))


def _pieces(text: str) -> Sequence[str]:
    """The text in pieces that end between words, as far as it is read at all."""
    pieces: list[str] = []
    begin = 0
    while begin < len(text) and len(pieces) < MOST_PIECES:
        end = begin + PIECE
        if end < len(text):
            blank = text.rfind(" ", begin + PIECE // 2, end)
            end = blank + 1 if blank > 0 else end
        pieces.append(text[begin:end])
        begin = end
    return pieces or [" "]
