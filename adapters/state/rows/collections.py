"""Collections."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.state.encoding.knowledge import COLLECTION, collection_of, collection_row
from adapters.state.rows.session import MANY_ROWS, Session
from adapters.state.rows.statements import Statement, insert, select
from core.identifiers import CollectionName
from core.knowledge import Collection
from core.pages import Cursor

_GET = select(COLLECTION, "FROM collection WHERE name = ?2 AND {mine}")
_LIST = select(COLLECTION, "FROM collection WHERE {mine} ORDER BY name, tenant LIMIT ?2")
_LIST_AFTER = select(
    COLLECTION, "FROM collection WHERE {mine} AND name > ?3 ORDER BY name, tenant LIMIT ?2"
)
_LIST_ALL_AFTER = select(
    COLLECTION,
    "FROM collection WHERE {mine} AND (name, tenant) > (?3, ?4) ORDER BY name, tenant LIMIT ?2",
)
_LOCK = select(COLLECTION, "FROM collection WHERE name = ?2 AND {mine} {locked}")
_INSERT = insert("collection", COLLECTION)
_DELETE = Statement("DELETE FROM collection WHERE name = ?2 AND {mine}")


class SqlCollectionRows:
    """The part of core.ports.knowledge_rows.KnowledgeRows that is about collections themselves."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def collection(self, name: CollectionName) -> Collection | None:
        """See KnowledgeRows.collection."""
        self._session.own_tenant()
        return await self._session.one(collection_of, _GET, name)

    async def lock_collection(self, name: CollectionName) -> Collection | None:
        """See KnowledgeRows.lock_collection."""
        self._session.own_tenant()
        return await self._session.one(collection_of, _LOCK, name)

    async def collections(self, limit: int, after: Cursor | None) -> Sequence[Collection]:
        """See KnowledgeRows.collections."""
        read = self._session.all
        if after is None:
            return await read(collection_of, _LIST, limit, rows=limit)
        if self._session.tenant is not None:
            return await read(collection_of, _LIST_AFTER, limit, after.sort_key, rows=limit)
        return await read(
            collection_of, _LIST_ALL_AFTER, limit, after.sort_key, after.id, rows=limit
        )

    def insert_collection(self, collection: Collection) -> None:
        """See KnowledgeRows.insert_collection."""
        self._session.write_for(collection.key.tenant, _INSERT, collection_row(collection))

    def delete_collection(self, name: CollectionName) -> None:
        """See KnowledgeRows.delete_collection. Everything in it goes with it."""
        self._session.own_tenant()
        self._session.write_scoped(_DELETE, name, rows=MANY_ROWS)
