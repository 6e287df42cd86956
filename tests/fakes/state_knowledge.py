"""Collections, documents, chunks and the change log, in memory."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.identifiers import ChunkId, CollectionName, DocumentId, Position
from core.knowledge import Collection, CollectionKey, Document, Vector, indexed_text
from core.pages import Cursor
from core.ports.indexes import IndexChange, IndexedChunk
from core.ports.knowledge_rows import StoredChunk
from core.ports.state import StoreConflict
from fakes.state_tables import LoggedChange, Tables, View, admits, must_admit, tenant_of


class FakeKnowledgeRows:
    """See core.ports.knowledge_rows.KnowledgeRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def _key(self, name: CollectionName) -> CollectionKey:
        return CollectionKey(tenant_of(self._view.scope), name)

    async def collection(self, name: CollectionName) -> Collection | None:
        key = self._key(name)
        return (await self._view.read()).collections.get(key)

    async def lock_collection(self, name: CollectionName) -> Collection | None:
        return await self.collection(name)

    async def collections(self, limit: int, after: Cursor | None) -> Sequence[Collection]:
        scope = self._view.scope
        found = (await self._view.read()).collections.values()
        mine = [row for row in found if admits(scope, row.key.tenant)]
        mine.sort(key=lambda row: (row.key.name, row.key.tenant))
        if after is not None and isinstance(scope, str):
            mine = [row for row in mine if row.key.name > after.sort_key]
        elif after is not None:
            start = (after.sort_key, after.id)
            mine = [row for row in mine if (row.key.name, row.key.tenant) > start]
        return mine[:limit]

    def insert_collection(self, collection: Collection) -> None:
        must_admit(self._view.scope, collection.key.tenant)

        def change(tables: Tables) -> None:
            if collection.key in tables.collections:
                raise StoreConflict("the collection's name is taken")
            tables.collections[collection.key] = collection

        self._view.write("collections", change)

    def delete_collection(self, name: CollectionName) -> None:
        key = self._key(name)

        def change(tables: Tables) -> None:
            tables.collections.pop(key, None)
            tables.documents = {k: v for k, v in tables.documents.items() if k[0] != key}
            tables.chunks = {k: v for k, v in tables.chunks.items() if k[0] != key}
            tables.changes = {k: v for k, v in tables.changes.items() if k[0] != key}

        self._view.write("collections", change)

    async def document(self, collection: CollectionName, id: DocumentId) -> Document | None:
        key = self._key(collection)
        return (await self._view.read()).documents.get((key, id))

    async def documents(
        self, collection: CollectionName, limit: int, after: Cursor | None
    ) -> Sequence[Document]:
        key = self._key(collection)
        rows = (await self._view.read()).documents.items()
        mine = sorted((row for k, row in rows if k[0] == key), key=lambda row: (row.uri, row.id))
        if after is not None:
            mine = [row for row in mine if (row.uri, row.id) > (after.sort_key, after.id)]
        return mine[:limit]

    async def documents_by_uri(
        self, collection: CollectionName, uris: Sequence[str]
    ) -> Mapping[str, Document]:
        key, wanted = self._key(collection), set(uris)
        rows = (await self._view.read()).documents.items()
        return {row.uri: row for k, row in rows if k[0] == key and row.uri in wanted}

    async def chunk_ids(
        self, collection: CollectionName, document: DocumentId
    ) -> Sequence[ChunkId]:
        key = self._key(collection)
        return _chunk_ids(await self._view.read(), key, document)

    def put_document(
        self,
        collection: CollectionName,
        document: Document,
        chunks: Sequence[StoredChunk],
        position: Position,
    ) -> None:
        key = self._key(collection)
        kept = [StoredChunk(each.chunk, tuple(map(_copy, each.vectors))) for each in chunks]
        row = replace(document, chunk_count=len(kept))

        def change(tables: Tables) -> None:
            _remove(tables, key, row.id, position, tuple(each.chunk.id for each in kept))
            for (other, id), taken in tables.documents.items():
                if other == key and taken.uri == row.uri and id != row.id:
                    raise StoreConflict("the document's uri is taken")
            tables.documents[key, row.id] = row
            for each in kept:
                if (key, each.chunk.id) in tables.chunks:
                    raise StoreConflict("the chunk's id is taken")
                tables.chunks[key, each.chunk.id] = each
            _count(tables, key, position)

        self._view.write("documents", change)

    def delete_document(
        self, collection: CollectionName, document: DocumentId, position: Position
    ) -> None:
        key = self._key(collection)

        def change(tables: Tables) -> None:
            _remove(tables, key, document, position, ())
            tables.documents.pop((key, document), None)
            _count(tables, key, position)

        self._view.write("documents", change)

    async def chunks(
        self, collection: CollectionName, ids: Sequence[ChunkId]
    ) -> Mapping[ChunkId, tuple[StoredChunk, Document]]:
        key = self._key(collection)
        tables = await self._view.read()
        found = {id: tables.chunks[key, id] for id in ids if (key, id) in tables.chunks}
        return {id: (row, tables.documents[key, row.chunk.document]) for id, row in found.items()}

    async def changes(
        self, collection: CollectionName, after: Position, limit: int
    ) -> Sequence[IndexChange]:
        key = self._key(collection)
        tables = await self._view.read()
        positions = sorted(at for k, at in tables.changes if k == key and at > after)
        return [_index_change(tables, key, at) for at in positions[:limit]]


def _copy(vector: Vector) -> Vector:
    return memoryview(array("f", bytes(vector))).toreadonly()


def _chunk_ids(tables: Tables, key: CollectionKey, document: DocumentId) -> tuple[ChunkId, ...]:
    mine = [
        row.chunk
        for (owner, _), row in tables.chunks.items()
        if owner == key and row.chunk.document == document
    ]
    return tuple(chunk.id for chunk in sorted(mine, key=lambda chunk: chunk.ordinal))


def _remove(
    tables: Tables,
    key: CollectionKey,
    document: DocumentId,
    position: Position,
    added: tuple[ChunkId, ...],
) -> None:
    """Take a document's chunks away and log the change."""
    if key not in tables.collections:
        raise StoreConflict("the collection is gone")
    if (key, position) in tables.changes:
        raise StoreConflict("the position is taken")
    removed = _chunk_ids(tables, key, document)
    for id in removed:
        del tables.chunks[key, id]
    tables.changes[key, position] = LoggedChange(document, removed, added)


def _count(tables: Tables, key: CollectionKey, position: Position) -> None:
    tables.collections[key] = replace(
        tables.collections[key],
        position=position,
        document_count=sum(owner == key for owner, _ in tables.documents),
        chunk_count=sum(owner == key for owner, _ in tables.chunks),
    )


def _index_change(tables: Tables, key: CollectionKey, at: Position) -> IndexChange:
    logged = tables.changes[key, at]
    document = tables.documents.get((key, logged.document))
    if document is None:
        return IndexChange(at, logged.removed)
    alive = (
        tables.chunks[key, id]
        for id in logged.added
        if (key, id) in tables.chunks and tables.chunks[key, id].chunk.document == document.id
    )
    added = tuple(
        IndexedChunk(
            row.chunk.id, indexed_text(document, row.chunk), row.vectors, document.attributes
        )
        for row in alive
    )
    return IndexChange(at, logged.removed, added)
