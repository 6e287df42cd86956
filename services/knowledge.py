"""Collections and documents: made, listed, deleted, indexed anew."""

from __future__ import annotations

from dataclasses import dataclass

from core.call import Call
from core.errors import AlreadyExists, NotFound
from core.identifiers import CollectionName, DocumentId, Position
from core.knowledge import Collection, CollectionKey, Document
from core.pages import Cursor, Page, PageRequest, page_of
from core.ports.state import State, StoreConflict, Transaction
from services.embedders import Embedders
from services.indexing import IndexFollower


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """A collection, and how far its indexes have followed."""

    collection: Collection
    indexed: Position


class Knowledge:
    """What a tenant knows. Another tenant's collection does not exist."""

    def __init__(self, state: State, indexes: IndexFollower, embedders: Embedders) -> None:
        self._state = state
        self._indexes = indexes
        self._embedders = embedders

    async def create_collection(
        self, call: Call, name: CollectionName, embedder: str, description: str
    ) -> CollectionStatus:
        """A new, empty collection. Raises AlreadyExists; then the old one is as it was."""
        model = self._embedders.get(embedder)
        key = CollectionKey(call.principal.tenant, name)
        try:
            async with self._state.transaction(key.tenant) as tx:
                made = Collection(key, model.name, model.dimensions, tx.now, description)
                tx.knowledge.insert_collection(made)
        except StoreConflict as taken:
            raise AlreadyExists(
                f"there is a collection {name!r} already", kind="collection", name=name
            ) from taken
        return CollectionStatus(made, Position(0))

    async def collection(self, call: Call, name: CollectionName) -> CollectionStatus:
        """The collection, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await self._status(await existing(view, name))

    async def collections(self, call: Call, page: PageRequest) -> Page[CollectionStatus]:
        """The tenant's collections by name."""
        async with self._state.snapshot(call.principal.tenant) as view:
            rows = await view.knowledge.collections(page.size + 1, page.after)
        listed = [await self._status(row) for row in rows]
        return page_of(listed, page, lambda s: _by_name(s.collection))

    async def delete_collection(
        self, call: Call, name: CollectionName, *, allow_missing: bool
    ) -> None:
        """Delete it with all that it holds. Raises NotFound."""
        async with self._state.transaction(call.principal.tenant) as tx:
            if allow_missing and await tx.knowledge.collection(name) is None:
                return
            collection = await existing(tx, name)
            tx.knowledge.delete_collection(name)
        await self._indexes.drop(collection)

    async def document(self, call: Call, name: CollectionName, id: DocumentId) -> Document:
        """One document, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await _document(view, name, id)

    async def documents(
        self, call: Call, name: CollectionName, page: PageRequest
    ) -> Page[Document]:
        """A collection's documents by uri."""
        async with self._state.snapshot(call.principal.tenant) as view:
            await existing(view, name)
            rows = await view.knowledge.documents(name, page.size + 1, page.after)
        return page_of(rows, page, lambda d: Cursor(d.uri, d.id))

    async def delete_document(
        self, call: Call, name: CollectionName, id: DocumentId, *, allow_missing: bool
    ) -> Position:
        """Delete a document; searches that begin after this returns do not find it."""
        async with self._state.transaction(call.principal.tenant) as tx:
            collection = await tx.knowledge.lock_collection(name)
            if collection is None and allow_missing:
                return Position(0)
            if collection is None:
                raise NotFound("collection", name)
            if allow_missing and await tx.knowledge.document(name, id) is None:
                return collection.position
            await _document(tx, name, id)
            position = Position(collection.position + 1)
            tx.knowledge.delete_document(name, id, position)
        return await self._indexes.follow(collection, position)

    async def reindex(self, call: Call, name: CollectionName) -> CollectionStatus:
        """Build both indexes anew from what the state holds."""
        async with self._state.snapshot(call.principal.tenant) as view:
            collection = await existing(view, name)
        indexed = await self._indexes.rebuild(collection)
        return CollectionStatus(collection, indexed)

    async def _status(self, collection: Collection) -> CollectionStatus:
        return CollectionStatus(collection, await self._indexes.position(collection))


async def existing(tx: Transaction, name: CollectionName) -> Collection:
    """The collection, or NotFound."""
    collection = await tx.knowledge.collection(name)
    if collection is None:
        raise NotFound("collection", name)
    return collection


async def _document(tx: Transaction, name: CollectionName, id: DocumentId) -> Document:
    document = await tx.knowledge.document(name, id)
    if document is None:
        raise NotFound("document", id)
    return document


def _by_name(collection: Collection) -> Cursor:
    return Cursor(collection.key.name, collection.key.name)
