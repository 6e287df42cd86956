"""The use case behind IngestDocuments."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass

from core.call import Call
from core.chunking import ChunkPolicy
from core.clock import Clock
from core.documents import UnreadableDocument
from core.errors import DeadlineExceeded, InvalidInput, NotFound
from core.identifiers import CollectionName, Position, Seconds
from core.ingestion import IncomingDocument, IngestSummary
from core.knowledge import Collection, CollectionKey, Document
from core.ports.state import State, StoreConflict
from services.embedders import Embedders, Paying, unpaid
from services.indexing import IndexFollower
from services.ingestion.intake import Intake
from services.ingestion.preparing import Prepared, Preparing

_FEATURE = "ingestion"
"""What the vectors of documents are booked under, where they cost something."""


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


class Ingestion:
    """Takes documents in as they come, and keeps the indexes up with them."""

    def __init__(
        self,
        state: State,
        preparing: Preparing,
        embedders: Embedders,
        indexes: IndexFollower,
        clock: Clock,
        limits: IngestLimits,
        paying: Paying = unpaid,
    ) -> None:
        self._state = state
        self._preparing = preparing
        self._embedders = embedders
        self._indexes = indexes
        self._clock = clock
        self.limits = limits
        self._paying = paying

    async def ingest(
        self,
        call: Call,
        name: CollectionName,
        documents: AsyncIterable[IncomingDocument],
        options: IngestOptions,
    ) -> IngestSummary:
        """What became of each. What cannot be read does not stop the others.

        Raises NotFound for the collection, InvalidInput for too many documents, and
        FeatureUnsupported where the collection's embedder is not here. What was ingested
        before an error stays.
        """
        collection = await self._collection(call, name, create=options.create_collection)
        embedder = self._paying(call, self._embedders.get(collection.embedder), _FEATURE)
        intake = Intake(self.limits.document_bytes, force=options.force)
        async for incoming in documents:
            self._check(call, intake)
            known = await self._known(collection, incoming.uri)
            if await intake.wants(incoming, known):
                try:
                    intake.ready(
                        await self._preparing.prepare(incoming, known, embedder, options.chunks)
                    )
                except UnreadableDocument as unreadable:
                    intake.unreadable(unreadable)
            if intake.is_full:
                await self._store(collection, intake)
        position = await self._store(collection, intake)
        return IngestSummary(tuple(intake.outcomes), position)

    def _check(self, call: Call, intake: Intake) -> None:
        if len(intake.outcomes) >= self.limits.documents:
            raise InvalidInput.at(
                "documents", f"at most {self.limits.documents} a call; send the rest in another"
            )
        if self._clock.monotonic() >= call.deadline:
            raise DeadlineExceeded("the ingest did not end by its deadline; send it again")

    async def _store(self, collection: Collection, intake: Intake) -> Position:
        """Commit what waits, each document as a change of its own; the indexes follow."""
        batch = intake.take()
        position = await self._commit(collection, [prepared for _, prepared in batch])
        reached = await self._indexes.follow(collection, position)
        intake.stored(batch)
        return reached

    async def _commit(self, collection: Collection, batch: Sequence[Prepared]) -> Position:
        name = collection.key.name
        async with self._state.transaction(collection.key.tenant) as tx:
            current = await tx.knowledge.lock_collection(name)
            if current is None or current.created_at != collection.created_at:
                raise NotFound("collection", name)  # it was deleted meanwhile
            position = current.position
            for prepared in batch:
                position = Position(position + 1)
                tx.knowledge.put_document(name, prepared.document, prepared.chunks, position)
        return position

    async def _known(self, collection: Collection, uri: str) -> Document | None:
        async with self._state.snapshot(collection.key.tenant) as view:
            found = await view.knowledge.documents_by_uri(collection.key.name, [uri])
        return found.get(uri)

    async def _collection(self, call: Call, name: CollectionName, *, create: bool) -> Collection:
        tenant = call.principal.tenant
        async with self._state.snapshot(tenant) as view:
            found = await view.knowledge.collection(name)
        if found is not None:
            return found
        if not create:
            raise NotFound("collection", name)
        embedder = self._embedders.default
        key = CollectionKey(tenant, name)
        try:
            async with self._state.transaction(tenant) as tx:
                made = Collection(key, embedder.name, embedder.dimensions, tx.now)
                tx.knowledge.insert_collection(made)
        except StoreConflict:
            return await self._collection(call, name, create=False)
        return made
