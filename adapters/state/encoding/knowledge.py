"""Collections, documents, chunks and vectors as rows."""

from __future__ import annotations

from adapters.state.encoding.values import (
    as_json,
    columns,
    map_json,
    map_of,
    micros,
    texts,
    time_of,
    vectors_blob,
    vectors_of,
)
from core.identifiers import (
    ChunkId,
    CollectionName,
    DocumentId,
    EmbedderName,
    Position,
    TenantId,
)
from core.knowledge import Chunk, Collection, CollectionKey, Document
from core.ports.knowledge_rows import StoredChunk

CollectionRow = tuple[str, str, str, int, int, str, int, int, int]
COLLECTION = columns(
    "tenant name embedder dimensions created_at description position document_count chunk_count"
)

DocumentRow = tuple[str, str, str, str, str, str, str, int, int, int, str, int]
DOCUMENT = columns(
    "tenant collection id uri title content_type digest size_bytes created_at updated_at "
    "attributes chunk_count"
)

ChunkRow = tuple[str, str, str, str, int, str, int, int, str, str]
CHUNK = columns(
    "tenant collection id document ordinal text start_offset end_offset heading language"
)

VectorsRow = tuple[str, str, str, int, bytes]
VECTORS = columns("tenant collection chunk vector_count body")


def collection_row(collection: Collection) -> CollectionRow:
    """A collection in the order of COLLECTION."""
    return (
        collection.key.tenant,
        collection.key.name,
        collection.embedder,
        collection.dimensions,
        micros(collection.created_at),
        collection.description,
        collection.position,
        collection.document_count,
        collection.chunk_count,
    )


def collection_of(row: CollectionRow) -> Collection:
    """The collection of a row in the order of COLLECTION."""
    return Collection(
        key=CollectionKey(TenantId(row[0]), CollectionName(row[1])),
        embedder=EmbedderName(row[2]),
        dimensions=row[3],
        created_at=time_of(row[4]),
        description=row[5],
        position=Position(row[6]),
        document_count=row[7],
        chunk_count=row[8],
    )


def document_row(key: CollectionKey, document: Document, chunk_count: int) -> DocumentRow:
    """A document in the order of DOCUMENT."""
    return (
        key.tenant,
        key.name,
        document.id,
        document.uri,
        document.title,
        document.content_type,
        document.digest,
        document.size_bytes,
        micros(document.created_at),
        micros(document.updated_at),
        map_json(document.attributes),
        chunk_count,
    )


def document_of(row: DocumentRow) -> Document:
    """The document of a row in the order of DOCUMENT."""
    return Document(
        id=DocumentId(row[2]),
        uri=row[3],
        title=row[4],
        content_type=row[5],
        digest=row[6],
        size_bytes=row[7],
        created_at=time_of(row[8]),
        updated_at=time_of(row[9]),
        attributes=map_of(row[10]),
        chunk_count=row[11],
    )


def chunk_row(key: CollectionKey, chunk: Chunk) -> ChunkRow:
    """A chunk in the order of CHUNK."""
    return (
        key.tenant,
        key.name,
        chunk.id,
        chunk.document,
        chunk.ordinal,
        chunk.text,
        chunk.start,
        chunk.end,
        as_json(chunk.heading),
        chunk.language,
    )


def chunk_of(row: ChunkRow) -> Chunk:
    """The chunk of a row in the order of CHUNK."""
    return Chunk(
        id=ChunkId(row[2]),
        document=DocumentId(row[3]),
        ordinal=row[4],
        text=row[5],
        start=row[6],
        end=row[7],
        heading=texts(row[8]),
        language=row[9],
    )


def vectors_row(key: CollectionKey, stored: StoredChunk) -> VectorsRow:
    """A chunk's vectors in the order of VECTORS."""
    vectors = stored.vectors
    return (key.tenant, key.name, stored.chunk.id, len(vectors), vectors_blob(vectors))


def stored_chunk(chunk: Chunk, vector_count: int, body: bytes) -> StoredChunk:
    """A chunk with the vectors of its row."""
    return StoredChunk(chunk, vectors_of(vector_count, body))
