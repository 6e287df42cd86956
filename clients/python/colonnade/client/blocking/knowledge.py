"""Collections and documents, for the blocking client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from colonnade.client.blocking.calls import Calls
from colonnade.client.errors import NotFound
from colonnade.client.names import collection_name
from colonnade.client.paging import PAGE_SIZE
from colonnade.client.timing import CALL_TIMEOUT, INGEST_TIMEOUT
from colonnade.client.uploads import Batch, IngestOptions, IngestReport, Known, Upload, batches
from colonnade.v1.ingestion_pb2 import DocumentResult, IngestDocumentsResponse
from colonnade.v1.knowledge_pb2 import (
    Collection,
    CreateCollectionRequest,
    DeleteCollectionRequest,
    DeleteDocumentRequest,
    Document,
    GetCollectionRequest,
    GetDocumentRequest,
    ListCollectionsRequest,
    ListDocumentsRequest,
    ReindexRequest,
    ReindexResponse,
)
from colonnade.v1.knowledge_pb2_grpc import KnowledgeServiceStub


class Knowledge:
    """`client.knowledge`. A collection is named by its id or by its resource name.

    `timeout` is in seconds, for each call; lists make one call a page. All raise ColonnadeError.
    """

    def __init__(self, calls: Calls, stub: KnowledgeServiceStub) -> None:
        self._calls = calls
        self._stub = stub

    def create_collection(
        self,
        collection_id: str,
        *,
        description: str = "",
        embedder: str = "",
        timeout: float = CALL_TIMEOUT,
    ) -> Collection:
        """Create an empty collection. `embedder` empty: the server's default one."""
        request = CreateCollectionRequest(
            collection_id=collection_id,
            collection=Collection(description=description, embedder=embedder),
        )
        return self._calls.unary(self._stub.CreateCollection, request, timeout)

    def collection(self, collection: str, *, timeout: float = CALL_TIMEOUT) -> Collection:
        """A collection: its embedder, its size, and how far its indexes have followed."""
        request = GetCollectionRequest(name=collection_name(collection))
        return self._calls.unary(self._stub.GetCollection, request, timeout)

    def collections(self, *, timeout: float = CALL_TIMEOUT) -> Iterator[Collection]:
        """The tenant's collections, by name."""
        return self._calls.paged(
            self._stub.ListCollections,
            ListCollectionsRequest(page_size=PAGE_SIZE),
            lambda page: page.collections,
            timeout,
        )

    def delete_collection(
        self, collection: str, *, allow_missing: bool = False, timeout: float = CALL_TIMEOUT
    ) -> None:
        """Delete a collection with its documents and indexes."""
        request = DeleteCollectionRequest(
            name=collection_name(collection), allow_missing=allow_missing
        )
        self._calls.unary(self._stub.DeleteCollection, request, timeout)

    def ingest(
        self,
        uploads: Iterable[Upload],
        collection: str = "default",
        *,
        create_collection: bool = True,
        force: bool = False,
        max_chunk_characters: int | None = None,
        on_progress: Callable[[DocumentResult], None] | None = None,
        timeout: float = INGEST_TIMEOUT,
    ) -> IngestReport:
        """Take documents in, in several calls; what is there unchanged is not sent.

        `on_progress` is called once a document, in their order. `timeout` is for each call with
        its repeats: after a broken connection a batch is sent again. What was ingested before an
        error stays.
        """
        options = IngestOptions(collection, create_collection, force, max_chunk_characters)
        known = self._known(options)
        report = IngestReport()
        for batch in batches(uploads, known):
            for result in report.add(batch, self._send(batch, options, timeout)):
                if on_progress is not None:
                    on_progress(result)
        return report

    def document(self, name: str, *, timeout: float = CALL_TIMEOUT) -> Document:
        """A document's record, by its resource name."""
        return self._calls.unary(self._stub.GetDocument, GetDocumentRequest(name=name), timeout)

    def documents(
        self, collection: str = "default", *, timeout: float = CALL_TIMEOUT
    ) -> Iterator[Document]:
        """A collection's documents, by `uri`."""
        return self._calls.paged(
            self._stub.ListDocuments,
            ListDocumentsRequest(parent=collection_name(collection), page_size=PAGE_SIZE),
            lambda page: page.documents,
            timeout,
        )

    def delete_document(
        self, name: str, *, allow_missing: bool = False, timeout: float = CALL_TIMEOUT
    ) -> None:
        """Delete a document, by its resource name."""
        request = DeleteDocumentRequest(name=name, allow_missing=allow_missing)
        self._calls.unary(self._stub.DeleteDocument, request, timeout)

    def reindex(
        self, collection: str = "default", *, timeout: float = INGEST_TIMEOUT
    ) -> ReindexResponse:
        """Build a collection's indexes anew."""
        request = ReindexRequest(name=collection_name(collection))
        return self._calls.unary(self._stub.Reindex, request, timeout)

    def _known(self, options: IngestOptions) -> dict[str, Known]:
        """What is there and need not be sent. A server that isn't there is noticed here, soon."""
        try:
            if options.force:
                self.collection(options.collection)
                return {}
            documents = self.documents(options.collection)
            return {document.uri: Known.of(document) for document in documents}
        except NotFound:
            if options.create_collection:
                return {}
            raise

    def _send(
        self, batch: Batch, options: IngestOptions, timeout: float
    ) -> IngestDocumentsResponse | None:
        if not batch.sends:
            return None
        return self._calls.collected(
            self._stub.IngestDocuments, lambda: batch.requests(options), timeout
        )
