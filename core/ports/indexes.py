"""The two derived indexes over a collection's chunks: by meaning and by words.

Both follow the collection's change log: they are told of changes in order, stand at the
position of the last one that they hold, and can be rebuilt from position 0. A collection
belongs to one tenant; asked for under another it is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.identifiers import ChunkId, Position
from core.knowledge import EVERYTHING, CollectionKey, Filter, Vector


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """What an index keeps of a chunk: its words, its vectors (one or more), its attributes.

    A chunk with several vectors (itself and its sentences) scores by the nearest of them.
    """

    id: ChunkId
    text: str
    vectors: tuple[Vector, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexChange:
    """One entry of a collection's change log: chunks that go, then chunks that come."""

    position: Position
    removed: tuple[ChunkId, ...] = ()
    added: tuple[IndexedChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, with the index's own score: higher is nearer."""

    chunk: ChunkId
    score: float


class VectorIndex(Protocol):
    """Nearest chunks by cosine similarity in [-1, 1]. Calls may overlap."""

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        """Take over these changes, in order of position; durable once it returns.

        Changes at or below the index's position are passed over, so that a repeat does
        nothing. A kill at any point leaves the index at the position of one of the changes.
        Raises DimensionMismatch; then nothing is written. A chunk without vectors is in no
        result.
        """

    async def position(self, collection: CollectionKey) -> Position:
        """The last change that the index holds; 0 for a collection that it does not know."""

    async def search(
        self,
        collection: CollectionKey,
        query: Vector,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        """The `limit` nearest chunks that `where` admits, nearest first, ties by id.

        Raises DimensionMismatch.
        """

    async def drop(self, collection: CollectionKey) -> None:
        """Forget the collection and its files. Idempotent."""

    async def close(self) -> None:
        """Write what is not written yet and let go of files. Idempotent."""


class KeywordIndex(Protocol):
    """BM25 over the chunks' words, in English, Chinese and what splits at spaces."""

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        """As VectorIndex.apply; `vectors` are not looked at."""

    async def position(self, collection: CollectionKey) -> Position:
        """The last change that the index holds; 0 for a collection that it does not know."""

    async def search(
        self,
        collection: CollectionKey,
        query: str,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        """The `limit` best chunks that share a telling term with `query`, ties by id.

        Function words (`the`, `what`, `的`) tell only where there is nothing else. Any text is a
        valid query.
        """

    async def drop(self, collection: CollectionKey) -> None:
        """Forget the collection and its files. Idempotent."""

    async def close(self) -> None:
        """Write what is not written yet and let go of files. Idempotent."""


class DimensionMismatch(ValueError):
    """A vector does not have the collection's number of dimensions."""


class IndexInUse(RuntimeError):
    """Somebody else writes this index, and there is one writer at a time."""
