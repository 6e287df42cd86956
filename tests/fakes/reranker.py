"""A reranker that counts shared words, when and as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.reranker import Scored
from core.trace import TraceContext


class FakeReranker:
    """Scores by the share of the query's words that a document holds; a token a word.

    Set `broken` to let every call fail with it, `waits` to hold calls back for so many seconds,
    `counts` to False for one that tells no tokens.
    """

    def __init__(self, name: str = "fake-reranker") -> None:
        self._name = name
        self._ending = asyncio.get_running_loop().create_future()
        self.broken: ModelError | None = None
        self.waits = 0.0
        self.counts = True
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.traces: list[TraceContext | None] = []
        self.running = 0

    @property
    def name(self) -> str:
        return self._name

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: Seconds,
        trace: TraceContext | None = None,
    ) -> Scored:
        self.calls.append((query, tuple(documents)))
        self.traces.append(trace)
        self.running += 1
        try:
            async with asyncio.timeout(timeout):
                await self._work()
        except TimeoutError:
            raise ModelError(ModelErrorKind.TIMEOUT, "the fake reranker was late") from None
        finally:
            self.running -= 1
        words = query.lower().split()
        scores = [sum(w in text.lower() for w in words) / len(words) for text in documents]
        tokens = sum(len(words) + len(text.split()) for text in documents)
        return Scored(scores, tokens if self.counts else None)

    async def close(self) -> None:
        if not self._ending.done():
            self._ending.set_result(None)

    async def _work(self) -> None:
        await asyncio.wait({self._ending}, timeout=self.waits)
        await asyncio.sleep(0)
        if self._ending.done():
            raise ModelError(ModelErrorKind.CONNECTION, "the fake reranker is closed")
        if self.broken is not None:
            raise self.broken
