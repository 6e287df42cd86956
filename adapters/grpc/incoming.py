"""The stream of an ingest, put together into documents, a bounded one at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.grpc import names
from colonnade.v1 import ingestion_pb2
from core.chunking import ChunkPolicy
from core.errors import InvalidInput
from core.identifiers import CollectionName
from core.ingestion import IncomingDocument
from services.ingestion.ingestion import IngestOptions

_FEWEST_CHARACTERS, _MOST_CHARACTERS = 200, 8000
_MOST_PIECE_BYTES = 1024 * 1024
_SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Pieces = AsyncIterator[ingestion_pb2.IngestDocumentsRequest]


async def ingest_header(pieces: Pieces) -> tuple[CollectionName, IngestOptions]:
    """The first piece: where the documents go, and how. Raises InvalidInput below `header`."""
    first = await anext(pieces, None)
    if first is None or first.WhichOneof("piece") != "header":
        raise InvalidInput.at("header", "must be the first piece of the stream")
    header = first.header
    policy = None
    if header.max_chunk_characters:
        if not _FEWEST_CHARACTERS <= header.max_chunk_characters <= _MOST_CHARACTERS:
            raise InvalidInput.at(
                "header.max_chunk_characters",
                f"must be {_FEWEST_CHARACTERS} to {_MOST_CHARACTERS}",
            )
        policy = ChunkPolicy(max_characters=header.max_chunk_characters)
    collection = names.collection_id(header.collection, "header.collection")
    return collection, IngestOptions(header.create_collection, header.force, policy)


async def incoming_documents(pieces: Pieces, most_bytes: int) -> AsyncIterator[IncomingDocument]:
    """The documents of the stream. One that is too large is dropped while it comes.

    Raises InvalidInput for pieces out of order.
    """
    start: ingestion_pb2.DocumentStart | None = None
    data = bytearray()
    size = 0
    async for piece in pieces:
        match piece.WhichOneof("piece"):
            case "start":
                if start is not None:
                    yield _document(start, data, size)
                start, data, size = piece.start, bytearray(), 0
            case "data" if start is not None:
                if not 1 <= len(piece.data) <= _MOST_PIECE_BYTES:
                    raise InvalidInput.at(
                        "data", f"has {len(piece.data)} bytes; 1 to {_MOST_PIECE_BYTES} are taken"
                    )
                size += len(piece.data)
                if size <= most_bytes:
                    data += piece.data
            case _:
                raise InvalidInput.at("piece", "a `start` must come before `data`, `header` once")
    if start is not None:
        yield _document(start, data, size)


def _document(start: ingestion_pb2.DocumentStart, data: bytearray, size: int) -> IncomingDocument:
    declared = start.size_bytes or None
    left_out = size == 0 and start.sha256.lower() not in ("", _SHA256_OF_NOTHING)
    return IncomingDocument(
        uri=start.uri,
        data=None if left_out else bytes(data),
        title=start.title,
        content_type=start.content_type,
        attributes=dict(start.attributes),
        sha256=start.sha256,
        declared_size=size if size > len(data) else declared,
    )
