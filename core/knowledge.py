"""Documents as the system knows them: collections, documents, chunks, passages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.identifiers import (
    ChunkId,
    CollectionName,
    DocumentId,
    EmbedderName,
    Position,
    TenantId,
)

Vector = memoryview
"""Float32 values (`format == "f"`), one dimension, L2-normalised."""


@dataclass(frozen=True, slots=True)
class CollectionKey:
    """A collection belongs to one tenant; the two together name it everywhere."""

    tenant: TenantId
    name: CollectionName


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of documents that is searched together, embedded by one recorded embedder.

    `position` is its last change; an index that stands at it has everything.
    """

    key: CollectionKey
    embedder: EmbedderName
    dimensions: int
    created_at: datetime
    description: str = ""
    position: Position = Position(0)
    document_count: int = 0
    chunk_count: int = 0

    @property
    def index_key(self) -> CollectionKey:
        """What its indexes are kept under: never that of an earlier collection of this name.

        A kill between the deletion of a collection and that of its indexes would else let a new
        one of the same name find the old one's chunks.
        """
        born = int(self.created_at.timestamp() * 1_000_000)
        return CollectionKey(self.key.tenant, CollectionName(f"{self.key.name}@{born}"))


@dataclass(frozen=True, slots=True)
class Document:
    """One ingested document. `digest` is the SHA-256 of its source bytes, in hex.

    `uri` names it within its collection: ingesting the same `uri` again replaces it.
    """

    id: DocumentId
    uri: str
    title: str
    content_type: str
    digest: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    chunk_count: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is retrieved as a whole.

    `start` and `end` are character offsets into the document's extracted text. `heading` is the
    path of headings above it, outermost first. `language` is a BCP-47 primary tag, or "".
    """

    id: ChunkId
    document: DocumentId
    ordinal: int
    text: str
    start: int
    end: int
    heading: tuple[str, ...] = ()
    language: str = ""


def indexed_text(document: Document, chunk: Chunk) -> str:
    """The words by which a chunk is found: its document's title, its headings, its own text."""
    parts = (document.title, " > ".join(chunk.heading), chunk.text)
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents may be found: for each attribute named, one of its allowed values.

    All conditions hold at once; the empty filter lets everything pass.
    """

    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def admits(self, attributes: Mapping[str, str]) -> bool:
        """Whether a document with these attributes passes."""
        return all(attributes.get(name) in values for name, values in self.allowed.items())


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Signal:
    """One source of a score: what was measured, the rank by it alone (from 1; 0: not ranked).

    `contribution` is what it adds to the fused score; `weight` how much it counts there.
    """

    name: str
    value: float
    rank: int
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk with what a reader needs to cite it, and where its score comes from.

    `score` is the fused one, higher is better, comparable within one search only: the sum of
    the signals' contributions. `attributes` are the document's.
    """

    chunk: Chunk
    collection: CollectionName
    title: str
    uri: str
    score: float
    signals: tuple[Signal, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
