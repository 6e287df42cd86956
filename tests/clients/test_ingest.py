"""Documents sent in batches: what is there is left out, what breaks is sent again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.either_client import Either, open_server
from colonnade.client import IngestReport, NotFound, Unavailable, Upload
from colonnade.client.uploads import BATCH_BYTES, BATCH_DOCUMENTS, PIECE_BYTES, batches
from colonnade.v1.ingestion_pb2 import (
    DocumentResult,
    IngestDocumentsRequest,
    IngestDocumentsResponse,
)
from colonnade.v1.knowledge_pb2 import (
    Collection,
    Document,
    GetCollectionRequest,
    ListDocumentsRequest,
    ListDocumentsResponse,
)
from colonnade.v1.knowledge_pb2_grpc import (
    KnowledgeServiceServicer,
    add_KnowledgeServiceServicer_to_server,
)

Context = grpc.aio.ServicerContext[Any, Any]
Pieces = AsyncIterator[IngestDocumentsRequest]
INGESTED, UNCHANGED, REJECTED = (
    DocumentResult.OUTCOME_INGESTED,
    DocumentResult.OUTCOME_UNCHANGED,
    DocumentResult.OUTCOME_REJECTED,
)


class Shelf(KnowledgeServiceServicer):
    """Keeps what it gets. `breaks` counts the ingests that end after their first document."""

    def __init__(self, breaks: int = 0) -> None:
        self.documents: dict[str, Document] = {}
        self.calls: list[list[tuple[str, int]]] = []
        self.breaks = breaks
        self.exists = True

    async def ListDocuments(
        self, request: ListDocumentsRequest, context: Context
    ) -> ListDocumentsResponse:
        if not self.exists:
            await context.abort(grpc.StatusCode.NOT_FOUND, request.parent)
        after = int(request.page_token or 0)
        found = [self.documents[uri] for uri in sorted(self.documents)]
        more = len(found) > after + 2
        return ListDocumentsResponse(
            documents=found[after : after + 2], next_page_token=str(after + 2) if more else ""
        )

    async def GetCollection(self, request: GetCollectionRequest, context: Context) -> Collection:
        return Collection(name=request.name)

    async def IngestDocuments(
        self, request_iterator: Pieces, context: Context
    ) -> IngestDocumentsResponse:
        self.calls.append([])
        results: list[DocumentResult] = []
        start, data = None, b""
        async for piece in request_iterator:
            if piece.HasField("start"):
                if start is not None:
                    results.append(self._keep(start, data))
                    if self.breaks:
                        self.breaks -= 1
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
                start, data = piece.start, b""
            elif piece.HasField("data"):
                assert len(piece.data) <= PIECE_BYTES
                data += piece.data
        if start is not None:
            results.append(self._keep(start, data))
        self.exists = True
        return IngestDocumentsResponse(results=results, position=len(self.documents))

    def _keep(self, start: Any, data: bytes) -> DocumentResult:
        self.calls[-1].append((start.uri, len(data)))
        known = self.documents.get(start.uri)
        same = known is not None and known.sha256 == start.sha256
        if not same and hashlib.sha256(data).hexdigest() != start.sha256:
            return DocumentResult(uri=start.uri, outcome=REJECTED, detail="not what was declared")
        self.documents[start.uri] = Document(
            uri=start.uri,
            title=start.title or "found in it",
            sha256=start.sha256,
            attributes=start.attributes,
        )
        return DocumentResult(uri=start.uri, outcome=UNCHANGED if same else INGESTED)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()  # type: ignore[abstract]  # the other methods are never called


@pytest.fixture(params=["blocking", "asyncio"])
async def client(request: pytest.FixtureRequest, shelf: Shelf) -> AsyncIterator[Either]:
    server, address = await open_server(
        lambda server: add_KnowledgeServiceServicer_to_server(shelf, server)
    )
    yield Either(request.param, address)
    await server.stop(None)


def notes(count: int, words: str = "note") -> list[Upload]:
    return [Upload(f"{i:02}.txt", f"{words} {i}".encode()) for i in range(count)]


def outcomes(report: IngestReport) -> list[int]:
    return [result.outcome for result in report.results]


async def test_documents_go_in_and_the_second_time_nothing_is_sent(
    client: Either, shelf: Shelf
) -> None:
    seen: list[str] = []
    report = await client(
        lambda c: c.knowledge.ingest(notes(5), on_progress=lambda result: seen.append(result.uri))
    )
    assert outcomes(report) == [INGESTED] * 5
    assert seen == [f"{i:02}.txt" for i in range(5)]
    assert report.position == 5

    again = await client(lambda c: c.knowledge.ingest(notes(5)))
    assert (again.ingested, again.unchanged, again.rejected) == (0, 5, [])
    assert shelf.calls[-1] == [(f"{i:02}.txt", 0) for i in range(5)]


async def test_what_has_changed_is_sent_and_force_sends_all(client: Either, shelf: Shelf) -> None:
    await client(lambda c: c.knowledge.ingest(notes(3)))
    changed = [
        Upload("00.txt", b"new"),
        Upload("01.txt", b"note 1", attributes={"team": "support"}),
        Upload("02.txt", b"note 2", title="found in it"),
    ]
    await client(lambda c: c.knowledge.ingest(changed))
    assert [size for _, size in shelf.calls[-1]] == [3, 6, 0]
    await client(lambda c: c.knowledge.ingest(changed, force=True))
    assert [size for _, size in shelf.calls[-1]] == [3, 6, 6]


async def test_a_broken_ingest_is_sent_again(client: Either, shelf: Shelf) -> None:
    shelf.breaks = 2
    file = io.BytesIO(b"a file that is open")
    report = await client(lambda c: c.knowledge.ingest([*notes(3), Upload("open.txt", file)]))
    assert len(shelf.calls) == 3
    assert sorted(shelf.documents) == ["00.txt", "01.txt", "02.txt", "open.txt"]
    assert report.rejected == []


async def test_a_server_that_stays_away_is_reported(client: Either, shelf: Shelf) -> None:
    shelf.breaks = 1000
    with pytest.raises(Unavailable):
        await client(lambda c: c.knowledge.ingest(notes(3)))


async def test_many_documents_go_in_several_calls(client: Either, shelf: Shelf) -> None:
    await client(lambda c: c.knowledge.ingest(notes(BATCH_DOCUMENTS + 1)))
    assert [len(call) for call in shelf.calls] == [BATCH_DOCUMENTS, 1]


async def test_a_large_file_is_sent_in_pieces(client: Either, shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 4096)
    report = await client(
        lambda c: c.knowledge.ingest([Upload("large.bin", lambda: path.open("rb"))])
    )
    assert outcomes(report) == [INGESTED]
    assert shelf.calls == [[("large.bin", 1024 * 1024)]]


async def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    client: Either, tmp_path: Path
) -> None:
    uploads = [Upload("gone.txt", lambda: (tmp_path / "gone").open("rb")), *notes(1)]
    report = await client(lambda c: c.knowledge.ingest(uploads))
    assert outcomes(report) == [REJECTED, INGESTED]
    assert "No such file" in report.rejected[0].detail


async def test_a_collection_that_is_missing_is_made_only_if_wanted(
    client: Either, shelf: Shelf
) -> None:
    shelf.exists = False
    with pytest.raises(NotFound):
        await client(lambda c: c.knowledge.ingest(notes(1), create_collection=False))
    report = await client(lambda c: c.knowledge.ingest(notes(1)))
    assert report.ingested == 1


def test_a_batch_is_cut_by_size_and_files_are_opened_one_by_one() -> None:
    opened: list[io.BytesIO] = []

    def content(size: int) -> io.BytesIO:
        assert all(file.closed for file in opened)
        opened.append(io.BytesIO(bytes(size)))
        return opened[-1]

    uploads = [Upload(str(i), partial(content, BATCH_BYTES // 2)) for i in range(5)]
    assert [len(batch.items) for batch in batches(uploads, {})] == [2, 2, 1]


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"skip this: content")
    file.seek(11)
    [batch] = batches([Upload("a.txt", file)], {})
    [item] = batch.items
    assert not isinstance(item, DocumentResult)
    assert item.start.size_bytes == 7
    assert item.open is not None
    assert b"".join(item.open()) == b"content"
    assert b"".join(item.open()) == b"content"


def test_an_empty_document_is_sent_as_one() -> None:
    [batch] = batches([Upload("a.txt", b"")], {})
    [item] = batch.items
    assert not isinstance(item, DocumentResult)
    # With a digest and no content it would mean: as you have it.
    assert item.start.sha256 == ""
