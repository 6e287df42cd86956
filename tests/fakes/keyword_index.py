"""BM25 over plain dictionaries: what the port says, and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.identifiers import ChunkId, Position
from core.knowledge import EVERYTHING, CollectionKey, Filter
from core.ports.indexes import Hit, IndexChange, IndexedChunk
from core.text.terms import query_terms, terms

_K1, _B = 1.2, 0.75


@dataclass
class _Held:
    position: Position = Position(0)
    chunks: dict[ChunkId, IndexedChunk] = field(default_factory=dict)
    counts: dict[ChunkId, Counter[str]] = field(default_factory=dict)

    def take(self, change: IndexChange) -> None:
        for name in change.removed:
            self.chunks.pop(name, None)
            self.counts.pop(name, None)
        for chunk in change.added:
            self.chunks[chunk.id] = chunk
            self.counts[chunk.id] = Counter(terms(chunk.text))
        self.position = change.position


class FakeKeywordIndex:
    """Forgets everything when it is closed."""

    def __init__(self) -> None:
        self._held: dict[CollectionKey, _Held] = {}

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        for change in changes:
            held = self._held.setdefault(collection, _Held())
            if change.position > held.position:
                held.take(change)

    async def position(self, collection: CollectionKey) -> Position:
        return self._held.get(collection, _Held()).position

    async def search(
        self,
        collection: CollectionKey,
        query: str,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        held = self._held.get(collection, _Held())
        scores = _bm25(held.counts, query_terms(query))
        hits = [
            Hit(name, score)
            for name, score in scores.items()
            if where.admits(held.chunks[name].attributes)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))[: max(limit, 0)]

    async def drop(self, collection: CollectionKey) -> None:
        self._held.pop(collection, None)

    async def close(self) -> None:
        self._held.clear()

    def contents(self, collection: CollectionKey) -> Mapping[ChunkId, IndexedChunk]:
        """What it holds, for a test to compare with."""
        return self._held.get(collection, _Held()).chunks


def _bm25(counts: Mapping[ChunkId, Counter[str]], asked: Sequence[str]) -> dict[ChunkId, float]:
    """The scores of the chunks that share a term (Robertson and Zaragoza 2009)."""
    lengths = {name: count.total() for name, count in counts.items()}
    average = sum(lengths.values()) / len(lengths) if lengths else 0.0
    scores: dict[ChunkId, float] = {}
    for term in asked:
        having = [name for name, count in counts.items() if term in count]
        rarity = math.log(1 + (len(counts) - len(having) + 0.5) / (len(having) + 0.5))
        for name in having:
            often = counts[name][term]
            damped = often + _K1 * (1 - _B + _B * lengths[name] / average)
            scores[name] = scores.get(name, 0.0) + rarity * often * (_K1 + 1) / damped
    return scores
