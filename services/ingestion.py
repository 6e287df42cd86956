"""Documents in: read, cut, embedded, stored and indexed, each whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, replace

from core.call import Call
from core.chunking import ChunkPolicy, chunk
from core.clock import Clock, NewId
from core.documents import UnreadableDocument
from core.errors import DeadlineExceeded, InvalidInput, NotFound
from core.identifiers import CollectionName, DocumentId, Position, Seconds
from core.ingestion import (
    DocumentOutcome,
    IncomingDocument,
    IngestOutcome,
    IngestSummary,
    Rejection,
)
from core.knowledge import Collection, CollectionKey, Document
from core.ports.document_reader import DocumentReader
from core.ports.embedder import Embedder
from core.ports.state import State, StoreConflict, StoredChunk
from services.chunk_vectors import embed_chunks
from services.embedders import Embedders
from services.indexing import IndexFollower

_CHUNKS_A_COMMIT = 96


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What a document and a call may be at most."""

    document_bytes: int = 50 * 1024 * 1024
    documents: int = 1000
    reading: Seconds = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How one call ingests. `chunks` None is the server's own policy."""

    create_collection: bool = False
    force: bool = False
    chunks: ChunkPolicy | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    place: int
    document: Document
    chunks: tuple[StoredChunk, ...]


class Ingestion:
    """The use case behind IngestDocuments."""

    def __init__(
        self,
        state: State,
        reader: DocumentReader,
        embedders: Embedders,
        indexes: IndexFollower,
        clock: Clock,
        new_id: NewId,
        chunks: ChunkPolicy,
        limits: IngestLimits,
    ) -> None:
        self._state = state
        self._reader = reader
        self._embedders = embedders
        self._indexes = indexes
        self._clock = clock
        self._new_id = new_id
        self._chunks = chunks
        self.limits = limits

    async def ingest(
        self,
        call: Call,
        name: CollectionName,
        documents: AsyncIterable[IncomingDocument],
        options: IngestOptions,
    ) -> IngestSummary:
        """Take the documents in as they come. What cannot be read does not stop the others.

        Raises NotFound for the collection, InvalidInput for too many documents, and
        FeatureUnsupported where the collection's embedder is not here. What was ingested
        before an error stays.
        """
        collection = await self._collection(call, name, options.create_collection)
        intake = _Intake(self, collection, options)
        async for document in documents:
            if len(intake.outcomes) >= self.limits.documents:
                raise InvalidInput.at(
                    "documents", f"at most {self.limits.documents} a call; send the rest in another"
                )
            if self._clock.monotonic() >= call.deadline:
                raise DeadlineExceeded("the ingest did not end by its deadline; send it again")
            await intake.take(document)
        await intake.store()
        outcomes = tuple(intake.outcomes)
        return IngestSummary(outcomes, await self._indexes.follow(collection, intake.position))

    async def _collection(self, call: Call, name: CollectionName, create: bool) -> Collection:
        tenant = call.principal.tenant
        async with self._state.snapshot(tenant) as view:
            found = await view.knowledge.collection(name)
        if found is not None:
            return found
        if not create:
            raise NotFound("collection", name)
        embedder = self._embedders.default
        try:
            async with self._state.transaction(tenant) as tx:
                key = CollectionKey(tenant, name)
                made = Collection(key, embedder.name, embedder.dimensions, tx.now)
                tx.knowledge.insert_collection(made)
        except StoreConflict:
            return await self._collection(call, name, create=False)
        return made

    async def prepare(
        self, place: int, incoming: IncomingDocument, known: Document | None, embedder: Embedder,
        policy: ChunkPolicy | None,
    ) -> _Prepared:
        """Read, cut and embed one document. Raises UnreadableDocument."""
        data = incoming.data or b""
        extracted = await self._reader.read(
            data,
            uri=incoming.uri,
            content_type=incoming.content_type,
            timeout=self.limits.reading,
        )
        id = known.id if known else DocumentId(self._new_id("doc"))
        _, pieces = chunk(extracted, document_id=id, policy=policy or self._chunks)
        title = incoming.title or extracted.title or incoming.uri.rstrip("/").rpartition("/")[2]
        now = self._clock.now()
        document = Document(
            id=id,
            uri=incoming.uri,
            title=title,
            content_type=incoming.content_type,
            digest=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            created_at=known.created_at if known else now,
            updated_at=now,
            attributes=incoming.attributes,
            chunk_count=len(pieces),
        )
        return _Prepared(place, document, await embed_chunks(embedder, title, pieces))

    async def store(self, collection: Collection, batch: Sequence[_Prepared]) -> Position:
        """Commit the documents of a batch, each as a change of its own."""
        async with self._state.transaction(collection.key.tenant) as tx:
            current = await tx.knowledge.lock_collection(collection.key.name)
            if current is None:
                raise NotFound("collection", collection.key.name)
            position = current.position
            for prepared in batch:
                position = Position(position + 1)
                tx.knowledge.put_document(
                    collection.key.name, prepared.document, prepared.chunks, position
                )
        return position

    async def known(self, collection: Collection, uri: str) -> Document | None:
        """The document that stands under this uri."""
        async with self._state.snapshot(collection.key.tenant) as view:
            found = await view.knowledge.documents_by_uri(collection.key.name, [uri])
        return found.get(uri)

    def embedder_of(self, collection: Collection) -> Embedder:
        """The one embedder that the collection was built with."""
        return self._embedders.get(collection.embedder)

    async def follow(self, collection: Collection, to: Position) -> Position:
        """Bring the indexes up to what was committed."""
        return await self._indexes.follow(collection, to)


class _Intake:
    """The state of one call: which documents came, and which wait for the next commit."""

    def __init__(
        self, ingestion: Ingestion, collection: Collection, options: IngestOptions
    ) -> None:
        self.outcomes: list[DocumentOutcome] = []
        self.position = collection.position
        self._ingestion = ingestion
        self._collection = collection
        self._options = options
        self._embedder = ingestion.embedder_of(collection)
        self._seen: set[str] = set()
        self._waiting: list[_Prepared] = []

    async def take(self, incoming: IncomingDocument) -> None:
        """Judge one document, and prepare it if it is new."""
        place = len(self.outcomes)
        self.outcomes.append(DocumentOutcome(incoming.uri, IngestOutcome.REJECTED))
        try:
            await self._take(place, incoming)
        except UnreadableDocument as unreadable:
            self._reject(place, Rejection(unreadable.reason.value), unreadable.message)

    async def _take(self, place: int, incoming: IncomingDocument) -> None:
        refusal = self._refusal(incoming)
        if refusal is not None:
            self._reject(place, *refusal)
            return
        self._seen.add(incoming.uri)
        known = await self._ingestion.known(self._collection, incoming.uri)
        if known is not None and self._unchanged(incoming, known):
            self.outcomes[place] = DocumentOutcome(
                incoming.uri, IngestOutcome.UNCHANGED, known.id, known.chunk_count
            )
            return
        if incoming.data is None:
            self._reject(
                place, Rejection.MISMATCH, "its content was left out, but is not what is stored"
            )
            return
        prepared = await self._ingestion.prepare(
            place, incoming, known, self._embedder, self._options.chunks
        )
        self._waiting.append(prepared)
        if sum(len(waiting.chunks) for waiting in self._waiting) >= _CHUNKS_A_COMMIT:
            await self.store()

    async def store(self) -> None:
        """Commit what waits, and let the indexes follow."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        self.position = await self._ingestion.store(self._collection, batch)
        await self._ingestion.follow(self._collection, self.position)
        for prepared in batch:
            self.outcomes[prepared.place] = DocumentOutcome(
                prepared.document.uri,
                IngestOutcome.INGESTED,
                prepared.document.id,
                len(prepared.chunks),
            )

    def _refusal(self, incoming: IncomingDocument) -> tuple[Rejection, str] | None:
        most = self._ingestion.limits.document_bytes
        size = len(incoming.data) if incoming.data is not None else incoming.declared_size or 0
        if max(size, incoming.declared_size or 0) > most:
            return Rejection.TOO_LARGE, f"larger than {most} bytes, the most that is taken in"
        if incoming.uri in self._seen:
            return Rejection.DUPLICATE, "the same uri came earlier in this call"
        if incoming.data is None:
            return None
        if incoming.declared_size is not None and incoming.declared_size != size:
            return Rejection.MISMATCH, f"{size} bytes came, {incoming.declared_size} were declared"
        if incoming.sha256 and incoming.sha256.lower() != hashlib.sha256(incoming.data).hexdigest():
            return Rejection.MISMATCH, "the content does not have the sha256 that was declared"
        return None

    def _unchanged(self, incoming: IncomingDocument, known: Document) -> bool:
        if self._options.force or dict(known.attributes) != dict(incoming.attributes):
            return False
        if incoming.title and incoming.title != known.title:
            return False
        if incoming.data is None:
            return incoming.sha256.lower() == known.digest
        return hashlib.sha256(incoming.data).hexdigest() == known.digest

    def _reject(self, place: int, rejection: Rejection, detail: str) -> None:
        self.outcomes[place] = replace(
            self.outcomes[place], rejection=rejection, detail=detail
        )
