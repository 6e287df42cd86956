"""KnowledgeService: translation, and nothing else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from google.protobuf import empty_pb2

from adapters.grpc import names, values
from adapters.grpc.incoming import incoming_documents, ingest_header
from adapters.grpc.violations import check, together, too_long
from colonnade.v1 import ingestion_pb2, knowledge_pb2
from core.call import Call
from core.identifiers import CollectionName
from core.ingestion import DocumentOutcome, IngestOutcome, IngestSummary, Rejection
from core.knowledge import Document
from core.pages import PageRequest
from services.ingestion.ingestion import Ingestion
from services.knowledge import CollectionStatus, Knowledge

_OUTCOMES = {
    IngestOutcome.INGESTED: ingestion_pb2.DocumentResult.OUTCOME_INGESTED,
    IngestOutcome.UNCHANGED: ingestion_pb2.DocumentResult.OUTCOME_UNCHANGED,
    IngestOutcome.REJECTED: ingestion_pb2.DocumentResult.OUTCOME_REJECTED,
}


class KnowledgeServicer:
    """One function a method of the contract."""

    def __init__(self, knowledge: Knowledge, ingestion: Ingestion) -> None:
        self._knowledge = knowledge
        self._ingestion = ingestion

    async def CreateCollection(
        self, request: knowledge_pb2.CreateCollectionRequest, call: Call
    ) -> knowledge_pb2.Collection:
        """A new, empty collection."""
        wanted = request.collection
        together(
            lambda: names.checked_collection(request.collection_id, "collection_id"),
            lambda: check(too_long(wanted.description, 2000, "collection.description")),
            lambda: check(too_long(wanted.embedder, 200, "collection.embedder")),
        )
        name = names.checked_collection(request.collection_id, "collection_id")
        made = await self._knowledge.create_collection(
            call, name, wanted.embedder, wanted.description
        )
        return _collection(made)

    async def GetCollection(
        self, request: knowledge_pb2.GetCollectionRequest, call: Call
    ) -> knowledge_pb2.Collection:
        """One collection."""
        name = names.collection_id(request.name, "name")
        return _collection(await self._knowledge.collection(call, name))

    async def ListCollections(
        self, request: knowledge_pb2.ListCollectionsRequest, call: Call
    ) -> knowledge_pb2.ListCollectionsResponse:
        """The tenant's collections."""
        page = await self._knowledge.collections(
            call, PageRequest.of(request.page_size, request.page_token)
        )
        return knowledge_pb2.ListCollectionsResponse(
            collections=[_collection(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteCollection(
        self, request: knowledge_pb2.DeleteCollectionRequest, call: Call
    ) -> empty_pb2.Empty:
        """Gone, with its documents and indexes."""
        name = names.collection_id(request.name, "name")
        await self._knowledge.delete_collection(call, name, allow_missing=request.allow_missing)
        return empty_pb2.Empty()

    async def IngestDocuments(
        self, requests: AsyncIterator[ingestion_pb2.IngestDocumentsRequest], call: Call
    ) -> ingestion_pb2.IngestDocumentsResponse:
        """What became of the documents."""
        collection, options = await ingest_header(requests)
        documents = incoming_documents(requests, self._ingestion.limits.document_bytes)
        summary = await self._ingestion.ingest(call, collection, documents, options)
        return _summary(collection, summary)

    async def GetDocument(
        self, request: knowledge_pb2.GetDocumentRequest, call: Call
    ) -> knowledge_pb2.Document:
        """One document's record."""
        collection, id = names.document_id(request.name, "name")
        return _document(collection, await self._knowledge.document(call, collection, id))

    async def ListDocuments(
        self, request: knowledge_pb2.ListDocumentsRequest, call: Call
    ) -> knowledge_pb2.ListDocumentsResponse:
        """A collection's documents."""
        collection = names.collection_id(request.parent, "parent")
        page = await self._knowledge.documents(
            call, collection, PageRequest.of(request.page_size, request.page_token)
        )
        return knowledge_pb2.ListDocumentsResponse(
            documents=[_document(collection, item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteDocument(
        self, request: knowledge_pb2.DeleteDocumentRequest, call: Call
    ) -> empty_pb2.Empty:
        """Gone from store and indexes."""
        collection, id = names.document_id(request.name, "name")
        await self._knowledge.delete_document(
            call, collection, id, allow_missing=request.allow_missing
        )
        return empty_pb2.Empty()

    async def Reindex(
        self, request: knowledge_pb2.ReindexRequest, call: Call
    ) -> knowledge_pb2.ReindexResponse:
        """What was indexed."""
        began = time.perf_counter()
        name = names.collection_id(request.name, "name")
        status = await self._knowledge.reindex(call, name)
        return knowledge_pb2.ReindexResponse(
            document_count=status.collection.document_count,
            chunk_count=status.collection.chunk_count,
            duration=values.duration(time.perf_counter() - began),
        )


def _collection(status: CollectionStatus) -> knowledge_pb2.Collection:
    value = status.collection
    return knowledge_pb2.Collection(
        name=names.collection_name(value.key.name),
        description=value.description,
        embedder=value.embedder,
        document_count=value.document_count,
        chunk_count=value.chunk_count,
        position=value.position,
        indexed_position=status.indexed,
        create_time=values.timestamp(value.created_at),
        dimensions=value.dimensions,
    )


def _document(collection: CollectionName, value: Document) -> knowledge_pb2.Document:
    return knowledge_pb2.Document(
        name=names.document_name(collection, value.id),
        uri=value.uri,
        title=value.title,
        content_type=value.content_type,
        attributes=value.attributes,
        sha256=value.digest,
        size_bytes=value.size_bytes,
        chunk_count=value.chunk_count,
        create_time=values.timestamp(value.created_at),
        update_time=values.timestamp(value.updated_at),
    )


def _summary(
    collection: CollectionName, summary: IngestSummary
) -> ingestion_pb2.IngestDocumentsResponse:
    return ingestion_pb2.IngestDocumentsResponse(
        results=[_result(collection, outcome) for outcome in summary.outcomes],
        ingested_count=summary.count(IngestOutcome.INGESTED),
        unchanged_count=summary.count(IngestOutcome.UNCHANGED),
        rejected_count=summary.count(IngestOutcome.REJECTED),
        chunk_count=sum(
            outcome.chunk_count
            for outcome in summary.outcomes
            if outcome.outcome is IngestOutcome.INGESTED
        ),
        position=summary.position,
    )


def _result(collection: CollectionName, value: DocumentOutcome) -> ingestion_pb2.DocumentResult:
    return ingestion_pb2.DocumentResult(
        uri=value.uri,
        document=names.document_name(collection, value.document) if value.document else "",
        outcome=_OUTCOMES[value.outcome],
        reason=_reason(value.rejection),
        detail=value.detail,
        chunk_count=value.chunk_count,
    )


def _reason(rejection: Rejection | None) -> ingestion_pb2.RejectionReason.ValueType:
    if rejection is None:
        return ingestion_pb2.REJECTION_REASON_UNSPECIFIED
    return ingestion_pb2.RejectionReason.Value(f"REJECTION_REASON_{rejection.name}")
