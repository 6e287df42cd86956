"""Every adapter that keeps core.ports.indexes.KeywordIndex; a new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.keywords.tantivy_index import TantivyKeywordIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import EVERYTHING, CollectionKey, Filter
from core.ports.indexes import IndexChange, IndexedChunk, KeywordIndex
from fakes.keyword_index import FakeKeywordIndex

HANDBOOK = CollectionKey(TenantId("acme"), CollectionName("handbook"))


@dataclass(frozen=True)
class Implementation:
    """How to open one, and whether it outlives its process."""

    name: str
    open: Callable[[Path], KeywordIndex]
    durable: bool

    def __str__(self) -> str:
        return self.name


IMPLEMENTATIONS = [
    Implementation("tantivy", TantivyKeywordIndex, durable=True),
    Implementation("fake", lambda _: FakeKeywordIndex(), durable=False),
]


def chunk(name: str, text: str, **attributes: str) -> IndexedChunk:
    return IndexedChunk(ChunkId(name), text, (), attributes)


def change(position: int, *added: IndexedChunk, removed: tuple[str, ...] = ()) -> IndexChange:
    return IndexChange(Position(position), tuple(map(ChunkId, removed)), added)


async def found(
    index: KeywordIndex, query: str, limit: int = 10, where: Filter = EVERYTHING
) -> list[str]:
    return [hit.chunk for hit in await index.search(HANDBOOK, query, limit, where=where)]


def only(allowed: Mapping[str, str]) -> Filter:
    """The filter in which the allowed values of a name stand in one string."""
    return Filter({name: frozenset(values.split()) for name, values in allowed.items()})
