"""Documents on their way in: read, compared with what the server has, and sent in batches.

Bounded in memory: of a document that is a file only a piece is held at a time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import BinaryIO

from colonnade.client.names import collection_name
from colonnade.v1.ingestion_pb2 import (
    REJECTION_REASON_BROKEN,
    DocumentResult,
    DocumentStart,
    IngestDocumentsRequest,
    IngestDocumentsResponse,
    IngestHeader,
)
from colonnade.v1.knowledge_pb2 import Document

PIECE_BYTES = 256 * 1024
BATCH_BYTES = 4 * 1024 * 1024
BATCH_DOCUMENTS = 32
"""Small, so that progress is seen: the server answers once a batch."""

Content = bytes | BinaryIO | Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Upload:
    """A document to ingest.

    `content` is bytes, an open binary file, or a function that opens one. A function is best for
    many files: each is opened when its turn comes. An open file is read from where it stands, and
    must stay open until its result has come.
    """

    uri: str
    content: Content
    title: str = ""
    content_type: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How documents are taken in, and where. `max_chunk_characters` None: the server's own."""

    collection: str = "default"
    create_collection: bool = True
    force: bool = False
    max_chunk_characters: int | None = None

    def header(self) -> IngestHeader:
        """The first piece of each call."""
        return IngestHeader(
            collection=collection_name(self.collection),
            create_collection=self.create_collection,
            force=self.force,
            max_chunk_characters=self.max_chunk_characters or 0,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What the server has of a document: enough to tell whether it has changed."""

    sha256: str
    title: str
    attributes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, document: Document) -> Known:
        """From the server's record."""
        return cls(document.sha256, document.title, tuple(sorted(document.attributes.items())))

    def same(self, start: DocumentStart) -> bool:
        """True where nothing needs to be sent."""
        return (
            start.sha256 == self.sha256
            and start.title in ("", self.title)
            and tuple(sorted(start.attributes.items())) == self.attributes
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that has been read once. `open` None: its content may be left out."""

    start: DocumentStart
    open: Callable[[], Iterator[bytes]] | None
    size: int


@dataclass(slots=True)
class Batch:
    """What goes into one call, and what could not even be read, in order."""

    items: list[Prepared | DocumentResult] = field(default_factory=list)
    size: int = 0

    def add(self, item: Prepared | DocumentResult) -> None:
        """Put one more document in."""
        self.items.append(item)
        if isinstance(item, Prepared) and item.open is not None:
            self.size += item.size

    @property
    def full(self) -> bool:
        """True when it should go."""
        return self.size >= BATCH_BYTES or len(self.items) >= BATCH_DOCUMENTS

    @property
    def sends(self) -> bool:
        """True where something is for the server."""
        return any(isinstance(item, Prepared) for item in self.items)

    def requests(self, options: IngestOptions) -> Iterator[IngestDocumentsRequest]:
        """The messages of the call, read as they are wanted. Can be asked for again."""
        yield IngestDocumentsRequest(header=options.header())
        for item in self.items:
            if isinstance(item, Prepared):
                yield IngestDocumentsRequest(start=item.start)
                # A file that has gone since it was read arrives short, and the server says so.
                with suppress(OSError):
                    for piece in item.open() if item.open else ():
                        yield IngestDocumentsRequest(data=piece)


@dataclass(slots=True)
class IngestReport:
    """What became of the documents, in their order. `position`: see `SearchRequest`."""

    results: list[DocumentResult] = field(default_factory=list)
    position: int = 0

    def add(self, batch: Batch, response: IngestDocumentsResponse | None) -> list[DocumentResult]:
        """Enter what became of a batch, the server's answers among our own rejections."""
        answers = iter(response.results if response else ())
        results = [
            item if isinstance(item, DocumentResult) else next(answers) for item in batch.items
        ]
        self.results += results
        self.position = response.position if response else self.position
        return results

    def count(self, outcome: DocumentResult.Outcome.ValueType) -> int:
        """How many documents ended so."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def ingested(self) -> int:
        """How many documents were stored and indexed."""
        return self.count(DocumentResult.OUTCOME_INGESTED)

    @property
    def unchanged(self) -> int:
        """How many were there already."""
        return self.count(DocumentResult.OUTCOME_UNCHANGED)

    @property
    def rejected(self) -> list[DocumentResult]:
        """Those that were not taken in, each with its reason."""
        return [r for r in self.results if r.outcome == DocumentResult.OUTCOME_REJECTED]


def batches(uploads: Iterable[Upload], known: Mapping[str, Known]) -> Iterator[Batch]:
    """The documents in calls of moderate size, in their order."""
    batch = Batch()
    for upload in uploads:
        batch.add(prepare(upload, known.get(upload.uri)))
        if batch.full:
            yield batch
            batch = Batch()
    if batch.items:
        yield batch


def prepare(upload: Upload, known: Known | None) -> Prepared | DocumentResult:
    """Read the document once, for its digest. One that can't be read is rejected, by us."""
    digest, size = hashlib.sha256(), 0
    try:
        pieces = opener(upload.content)
        for piece in pieces():
            digest.update(piece)
            size += len(piece)
    except OSError as error:
        return DocumentResult(
            uri=upload.uri,
            outcome=DocumentResult.OUTCOME_REJECTED,
            reason=REJECTION_REASON_BROKEN,
            detail=f"it could not be read: {error.strerror or error}",
        )
    start = DocumentStart(
        uri=upload.uri,
        title=upload.title,
        content_type=upload.content_type,
        attributes=upload.attributes,
        # A digest without content means "as you have it", which an empty document does not.
        sha256=digest.hexdigest() if size else "",
        size_bytes=size,
    )
    left_out = known is not None and known.same(start)
    return Prepared(start, None if left_out else pieces, size)


def opener(content: Content) -> Callable[[], Iterator[bytes]]:
    """A function that yields the content in pieces, each time from its beginning."""
    if isinstance(content, bytes):
        return lambda: _pieces(io.BytesIO(content))
    if callable(content):
        return lambda: _opened(content)
    if not content.seekable():
        whole = content.read()
        return lambda: _pieces(io.BytesIO(whole))
    begin, lock = content.tell(), Lock()
    return lambda: _from(content, begin, lock)


def _opened(open_file: Callable[[], BinaryIO]) -> Iterator[bytes]:
    with open_file() as file:
        yield from _pieces(file)


def _from(file: BinaryIO, position: int, lock: Lock) -> Iterator[bytes]:
    """The rest of a shared file. A broken call's thread may still read it for a moment."""
    while True:
        with lock:
            file.seek(position)
            piece = file.read(PIECE_BYTES)
        if not piece:
            return
        position += len(piece)
        yield piece


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
