"""Documents, chunks and the change log on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.state.rows.knowledge import SqlKnowledgeRows
from adapters.state.rows.statements import Statement
from core.identifiers import CollectionName, DocumentId, Position
from core.knowledge import Document
from core.ports.knowledge_rows import StoredChunk

_HOLD = Statement("SELECT name FROM collection WHERE name = ?2 AND {mine} FOR UPDATE")


class PostgresKnowledgeRows(SqlKnowledgeRows):
    """See core.ports.knowledge_rows.KnowledgeRows.

    A change begins with its collection's row, so that what it counts is not changed meanwhile.
    """

    def put_document(
        self,
        collection: CollectionName,
        document: Document,
        chunks: Sequence[StoredChunk],
        position: Position,
    ) -> None:
        """See KnowledgeRows.put_document."""
        self._session.own_tenant()
        self._session.write_scoped(_HOLD, collection)
        super().put_document(collection, document, chunks, position)

    def delete_document(
        self, collection: CollectionName, document: DocumentId, position: Position
    ) -> None:
        """See KnowledgeRows.delete_document."""
        self._session.own_tenant()
        self._session.write_scoped(_HOLD, collection)
        super().delete_document(collection, document, position)
