"""Documents, chunks and the change log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.state.encoding.knowledge import (
    CHUNK,
    DOCUMENT,
    VECTORS,
    chunk_of,
    chunk_row,
    document_of,
    document_row,
    stored_chunk,
    vectors_row,
)
from adapters.state.encoding.values import as_json
from adapters.state.rows.collections import SqlCollectionRows
from adapters.state.rows.session import MANY_ROWS
from adapters.state.rows.statements import Statement, insert, select
from core.identifiers import ChunkId, CollectionName, DocumentId, Position
from core.knowledge import Chunk, CollectionKey, Document, indexed_text
from core.pages import Cursor
from core.ports.indexes import IndexChange, IndexedChunk
from core.ports.knowledge_rows import StoredChunk

_DOCUMENT = select(DOCUMENT, "FROM document WHERE {mine} AND collection = ?2 AND id = ?3")
_DOCUMENTS = select(
    DOCUMENT, "FROM document WHERE {mine} AND collection = ?2 ORDER BY uri, id LIMIT ?3"
)
_DOCUMENTS_AFTER = select(
    DOCUMENT,
    "FROM document WHERE {mine} AND collection = ?2 AND (uri, id) > (?4, ?5) "
    "ORDER BY uri, id LIMIT ?3",
)
_BY_URI = select(
    DOCUMENT,
    "FROM document WHERE {mine} AND collection = ?2 AND {uri in ?3}",
)
_BY_ID = select(
    DOCUMENT,
    "FROM document WHERE {mine} AND collection = ?2 AND {id in ?3}",
)
_CHUNK_IDS = Statement(
    "SELECT id FROM chunk WHERE {mine} AND collection = ?2 AND document = ?3 ORDER BY ordinal"
)
_CHUNKS = select(
    (*CHUNK, "vector_count", "body"),
    "FROM chunk JOIN chunk_vectors USING (tenant, collection) "
    "WHERE {mine} AND collection = ?2 AND chunk_vectors.chunk = id "
    "AND {id in ?3}",
)
_CHANGES = select(
    ("position", "document", "removed", "added"),
    "FROM change WHERE {mine} AND collection = ?2 AND position > ?3 ORDER BY position LIMIT ?4",
)

# In this order: the collection counts what the document had before it is replaced.
_COUNT = Statement("""
    UPDATE collection SET position = ?4,
        document_count = document_count + ?5 - (
            SELECT count(*) FROM document WHERE tenant = ?1 AND collection = ?2 AND id = ?3),
        chunk_count = chunk_count + ?6 - (
            SELECT count(*) FROM chunk WHERE tenant = ?1 AND collection = ?2 AND document = ?3)
    WHERE tenant = ?1 AND name = ?2
""")
_LOG = Statement("""
    INSERT INTO change (tenant, collection, position, document, removed, added)
    VALUES (?1, ?2, ?4, ?3, (SELECT {array id} FROM (
        SELECT id FROM chunk WHERE tenant = ?1 AND collection = ?2 AND document = ?3
        ORDER BY ordinal) AS its), ?5)
""")
_REMOVE_CHUNKS = Statement(
    "DELETE FROM chunk WHERE tenant = ?1 AND collection = ?2 AND document = ?3"
)
_REMOVE_DOCUMENT = Statement(
    "DELETE FROM document WHERE tenant = ?1 AND collection = ?2 AND id = ?3"
)
_PUT_DOCUMENT = insert(
    "document", DOCUMENT, "ON CONFLICT (tenant, collection, id) DO UPDATE SET {replacing}"
)
_PUT_CHUNK = insert("chunk", CHUNK)
_PUT_VECTORS = insert("chunk_vectors", VECTORS)


@dataclass(frozen=True, slots=True)
class _Logged:
    """An entry of the change log."""

    position: Position
    document: DocumentId
    removed: tuple[ChunkId, ...]
    added: tuple[ChunkId, ...]


class SqlKnowledgeRows(SqlCollectionRows):
    """See core.ports.knowledge_rows.KnowledgeRows."""

    def _key(self, collection: CollectionName) -> CollectionKey:
        return CollectionKey(self._session.own_tenant(), collection)

    async def document(self, collection: CollectionName, id: DocumentId) -> Document | None:
        """See KnowledgeRows.document."""
        self._session.own_tenant()
        return await self._session.one(document_of, _DOCUMENT, collection, id)

    async def documents(
        self, collection: CollectionName, limit: int, after: Cursor | None
    ) -> Sequence[Document]:
        """See KnowledgeRows.documents."""
        self._session.own_tenant()
        if after is None:
            return await self._session.all(document_of, _DOCUMENTS, collection, limit, rows=limit)
        return await self._session.all(
            document_of, _DOCUMENTS_AFTER, collection, limit, after.sort_key, after.id, rows=limit
        )

    async def documents_by_uri(
        self, collection: CollectionName, uris: Sequence[str]
    ) -> Mapping[str, Document]:
        """See KnowledgeRows.documents_by_uri."""
        self._session.own_tenant()
        found = await self._session.all(
            document_of, _BY_URI, collection, self._session.texts(uris), rows=len(uris)
        )
        return {document.uri: document for document in found}

    async def chunk_ids(
        self, collection: CollectionName, document: DocumentId
    ) -> Sequence[ChunkId]:
        """See KnowledgeRows.chunk_ids."""
        self._session.own_tenant()
        return await self._session.all(_first_id, _CHUNK_IDS, collection, document, rows=MANY_ROWS)

    def put_document(
        self,
        collection: CollectionName,
        document: Document,
        chunks: Sequence[StoredChunk],
        position: Position,
    ) -> None:
        """See KnowledgeRows.put_document."""
        key = self._key(collection)
        added = as_json([stored.chunk.id for stored in chunks])
        write, place = self._session.write, (key.tenant, key.name, document.id)
        write(_COUNT, (*place, position, 1, len(chunks)))
        write(_LOG, (*place, position, added))
        write(_REMOVE_CHUNKS, place)
        write(_PUT_DOCUMENT, document_row(key, document, len(chunks)))
        write(_PUT_CHUNK, *(chunk_row(key, stored.chunk) for stored in chunks))
        write(_PUT_VECTORS, *(vectors_row(key, stored) for stored in chunks))

    def delete_document(
        self, collection: CollectionName, document: DocumentId, position: Position
    ) -> None:
        """See KnowledgeRows.delete_document."""
        key = self._key(collection)
        write, place = self._session.write, (key.tenant, key.name, document)
        write(_COUNT, (*place, position, 0, 0))
        write(_LOG, (*place, position, "[]"))
        write(_REMOVE_DOCUMENT, place)

    async def chunks(
        self, collection: CollectionName, ids: Sequence[ChunkId]
    ) -> Mapping[ChunkId, tuple[StoredChunk, Document]]:
        """See KnowledgeRows.chunks. Each document is read once."""
        self._session.own_tenant()
        read, texts = self._session.all, self._session.texts
        stored = await read(
            _stored_of,
            _CHUNKS,
            collection,
            texts(ids),
            rows=2 * len(ids),
        )
        named = texts(sorted({each.chunk.document for each in stored}))
        found = await read(document_of, _BY_ID, collection, named, rows=len(stored))
        documents = {document.id: document for document in found}
        return {each.chunk.id: (each, documents[each.chunk.document]) for each in stored}

    async def changes(
        self, collection: CollectionName, after: Position, limit: int
    ) -> Sequence[IndexChange]:
        """See KnowledgeRows.changes."""
        self._session.own_tenant()
        logged = await self._session.all(
            _logged_of, _CHANGES, collection, after, limit, rows=MANY_ROWS
        )
        alive = await self.chunks(collection, [id for each in logged for id in each.added])
        return [
            IndexChange(
                each.position,
                each.removed,
                tuple(
                    _indexed(*alive[id])
                    for id in each.added
                    if id in alive and alive[id][1].id == each.document
                ),
            )
            for each in logged
        ]


def _stored_of(row: tuple[Any, ...]) -> StoredChunk:  # Any: a chunk's columns, then two more
    return stored_chunk(chunk_of(row[:-2]), row[-2], row[-1])


def _first_id(row: tuple[str]) -> ChunkId:
    return ChunkId(row[0])


def _logged_of(row: tuple[int, str, str, str]) -> _Logged:
    position, document, removed, added = row
    return _Logged(
        Position(position),
        DocumentId(document),
        tuple(map(ChunkId, json.loads(removed))),
        tuple(map(ChunkId, json.loads(added))),
    )


def _indexed(stored: StoredChunk, document: Document) -> IndexedChunk:
    chunk: Chunk = stored.chunk
    return IndexedChunk(
        chunk.id, indexed_text(document, chunk), stored.vectors, document.attributes
    )
