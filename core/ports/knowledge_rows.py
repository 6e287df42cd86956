"""The state's rows about collections, documents, chunks and their change log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.identifiers import ChunkId, CollectionName, DocumentId, Position
from core.knowledge import Chunk, Collection, Document, Vector
from core.pages import Cursor
from core.ports.indexes import IndexChange


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its vectors: its own first, then those of its sentences if kept."""

    chunk: Chunk
    vectors: tuple[Vector, ...]


class KnowledgeRows(Protocol):
    """Collections, documents, chunks, and the change log that the indexes follow."""

    async def collection(self, name: CollectionName) -> Collection | None:
        """The row with its counts as committed."""

    async def lock_collection(self, name: CollectionName) -> Collection | None:
        """The row, held until the transaction ends: writers of one collection take turns."""

    async def collections(self, limit: int, after: Cursor | None) -> Sequence[Collection]:
        """In order of name; the cursor is (name, name). Under EVERY_TENANT all: (name, tenant)."""

    def insert_collection(self, collection: Collection) -> None:
        """A new row; StoreConflict where the name is taken."""

    def delete_collection(self, name: CollectionName) -> None:
        """Delete it with its documents, chunks and change log."""

    async def document(self, collection: CollectionName, id: DocumentId) -> Document | None:
        """One document."""

    async def documents(
        self, collection: CollectionName, limit: int, after: Cursor | None
    ) -> Sequence[Document]:
        """In order of uri; the cursor is (uri, id)."""

    async def documents_by_uri(
        self, collection: CollectionName, uris: Sequence[str]
    ) -> Mapping[str, Document]:
        """Those of the named documents that exist."""

    async def chunk_ids(
        self, collection: CollectionName, document: DocumentId
    ) -> Sequence[ChunkId]:
        """The document's chunks in order."""

    def put_document(
        self,
        collection: CollectionName,
        document: Document,
        chunks: Sequence[StoredChunk],
        position: Position,
    ) -> None:
        """Write or replace a document with all its chunks as the change at `position`.

        The collection's position becomes `position`, its counts follow. StoreConflict where the
        collection is not there, or the uri or the position is taken.
        """

    def delete_document(
        self, collection: CollectionName, document: DocumentId, position: Position
    ) -> None:
        """Delete it with its chunks, as the change at `position`."""

    async def chunks(
        self, collection: CollectionName, ids: Sequence[ChunkId]
    ) -> Mapping[ChunkId, tuple[StoredChunk, Document]]:
        """The chunks that exist, each with its document."""

    async def changes(
        self, collection: CollectionName, after: Position, limit: int
    ) -> Sequence[IndexChange]:
        """The log after a position, in order. What a later change took away again may lack."""
