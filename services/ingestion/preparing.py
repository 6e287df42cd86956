"""One document from its bytes to chunks with vectors."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.chunking import ChunkPolicy, chunk
from core.clock import Clock, NewId
from core.documents import ExtractedDocument
from core.identifiers import DocumentId, Seconds
from core.ingestion import IncomingDocument
from core.knowledge import Chunk, Document, Vector
from core.ports.document_reader import DocumentReader
from core.ports.embedder import Embedder, TextKind
from core.ports.knowledge_rows import StoredChunk
from core.retrieval.sentence_vectors import sentence_in_context
from core.text.language import detect_language
from core.text.sentences import SentenceKind, sentences

_SENTENCE_KINDS = frozenset({SentenceKind.PROSE, SentenceKind.LIST_ITEM, SentenceKind.TABLE_ROW})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is ready to be stored."""

    document: Document
    chunks: tuple[StoredChunk, ...]


class Preparing:
    """Reads, cuts and embeds. CPU work stays off the event loop."""

    def __init__(
        self,
        reader: DocumentReader,
        clock: Clock,
        new_id: NewId,
        chunks: ChunkPolicy,
        reading: Seconds,
        *,
        sentence_vectors: bool,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._new_id = new_id
        self._chunks = chunks
        self._reading = reading
        self._sentence_vectors = sentence_vectors

    async def prepare(
        self,
        incoming: IncomingDocument,
        known: Document | None,
        embedder: Embedder,
        chunks: ChunkPolicy | None,
    ) -> Prepared:
        """The document that takes the place of `known`. Raises UnreadableDocument."""
        data = incoming.data or b""
        extracted = await self._reader.read(
            data,
            uri=incoming.uri,
            content_type=incoming.content_type,
            timeout=self._reading,
        )
        id = known.id if known else DocumentId(self._new_id("doc"))
        cut = await asyncio.to_thread(_cut, extracted, id, chunks or self._chunks)
        title = incoming.title or extracted.title or _last_part(incoming.uri)
        now = self._clock.now()
        document = Document(
            id=id,
            uri=incoming.uri,
            title=title,
            content_type=extracted.content_type or incoming.content_type,
            digest=await digest(data),
            size_bytes=len(data),
            created_at=known.created_at if known else now,
            updated_at=now,
            attributes=incoming.attributes,
            chunk_count=len(cut),
        )
        return Prepared(document, await self._embed(embedder, title, cut))

    async def _embed(
        self, embedder: Embedder, title: str, chunks: Sequence[Chunk]
    ) -> tuple[StoredChunk, ...]:
        """Each chunk with its own vector first, then those of its sentences."""
        texts = [texts_to_embed(title, c, sentences=self._sentence_vectors) for c in chunks]
        vectors = await embedder.embed([t for each in texts for t in each], TextKind.DOCUMENT)
        return await asyncio.to_thread(_stored, chunks, [len(each) for each in texts], vectors)


def _stored(
    chunks: Sequence[Chunk], counts: Sequence[int], vectors: Sequence[Vector]
) -> tuple[StoredChunk, ...]:
    """The chunks with their vectors, of which each has its count, one after another."""
    stored: list[StoredChunk] = []
    at = 0
    for cut, count in zip(chunks, counts, strict=True):
        whole, *single = vectors[at : at + count]
        in_context = (sentence_in_context(sentence, whole) for sentence in single)
        stored.append(StoredChunk(cut, (whole, *in_context)))
        at += count
    return tuple(stored)


def texts_to_embed(title: str, chunk: Chunk, *, sentences: bool) -> list[str]:
    """What stands for a chunk in the space of meanings: itself under its headings, its sentences.

    A chunk of one sentence has one vector: its sentence says no more than itself.
    """
    whole = "\n".join(filter(None, (" > ".join((title, *chunk.heading)), chunk.text)))
    if not sentences:
        return [whole]
    single = _sentences(chunk.text)
    return [whole, *single] if len(single) > 1 else [whole]


async def digest(data: bytes) -> str:
    """The SHA-256 of a document's bytes, in hex."""
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())


def _sentences(text: str) -> list[str]:
    return [s.text for s in sentences(text) if s.kind in _SENTENCE_KINDS]


def _cut(extracted: ExtractedDocument, id: DocumentId, policy: ChunkPolicy) -> tuple[Chunk, ...]:
    return chunk(extracted, document_id=id, policy=policy, language_of=detect_language)[1]


def _last_part(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]
