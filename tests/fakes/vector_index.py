"""A vector index of plain dictionaries: what the port says, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.identifiers import ChunkId, Position
from core.knowledge import EVERYTHING, CollectionKey, Filter, Vector
from core.ports.indexes import DimensionMismatch, Hit, IndexChange, IndexedChunk


@dataclass
class _Held:
    position: Position = Position(0)
    dimensions: int = 0
    chunks: dict[ChunkId, IndexedChunk] = field(default_factory=dict)


class FakeVectorIndex:
    """Forgets everything when it is closed."""

    def __init__(self) -> None:
        self._held: dict[CollectionKey, _Held] = {}

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        held = self._held.get(collection, _Held())
        fresh = _behind(held.position, changes)
        dimensions = _agreed_dimensions(fresh, held.dimensions)
        if not fresh:
            return
        for change in fresh:
            for name in change.removed:
                held.chunks.pop(name, None)
            held.chunks.update({chunk.id: chunk for chunk in change.added})
        held.position, held.dimensions = fresh[-1].position, dimensions
        self._held[collection] = held

    async def position(self, collection: CollectionKey) -> Position:
        return self._held.get(collection, _Held()).position

    async def search(
        self,
        collection: CollectionKey,
        query: Vector,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        held = self._held.get(collection, _Held())
        if held.dimensions and len(query) != held.dimensions:
            raise DimensionMismatch(f"{len(query)} dimensions instead of {held.dimensions}")
        hits = [
            Hit(chunk.id, max(_cosine(vector, query) for vector in chunk.vectors))
            for chunk in held.chunks.values()
            if chunk.vectors and where.admits(chunk.attributes)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))[: max(limit, 0)]

    async def drop(self, collection: CollectionKey) -> None:
        self._held.pop(collection, None)

    async def close(self) -> None:
        self._held.clear()

    def contents(self, collection: CollectionKey) -> Mapping[ChunkId, IndexedChunk]:
        """What it holds, for a test to compare with."""
        return self._held.get(collection, _Held()).chunks


def _behind(position: Position, changes: Sequence[IndexChange]) -> list[IndexChange]:
    fresh: list[IndexChange] = []
    for change in changes:
        if change.position > position:
            fresh.append(change)
            position = change.position
    return fresh


def _agreed_dimensions(changes: Sequence[IndexChange], dimensions: int) -> int:
    for change in changes:
        for vector in (v for chunk in change.added for v in chunk.vectors):
            if len(vector) != (dimensions or len(vector)):
                raise DimensionMismatch(f"{len(vector)} dimensions instead of {dimensions}")
            dimensions = len(vector)
    return dimensions


def _cosine(a: Vector, b: Vector) -> float:
    return min(1.0, max(-1.0, sum(x * y for x, y in zip(a, b, strict=True))))
