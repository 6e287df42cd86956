"""Documents that can't be taken in: each is rejected alone, with its reason; the others stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1.ingestion_pb2 import (
    DocumentResult,
    DocumentStart,
    IngestDocumentsRequest,
    IngestHeader,
    RejectionReason,
)
from colonnade.v1.knowledge_pb2 import GetCollectionRequest, ListDocumentsRequest
from colonnade.v1.retrieval_pb2 import SearchRequest
from colonnaded.container import Container
from fakes.pdf_files import encrypted_pdf, pdf_of, scanned_pdf
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, pieces, served_node
from services.ingestion.ingestion import IngestLimits

HEADER = IngestDocumentsRequest(
    header=IngestHeader(collection="collections/c", create_collection=True)
)
NOTHING = hashlib.sha256(b"").hexdigest()


def start(uri: str = "a.md", **fields: Any) -> IngestDocumentsRequest:
    return IngestDocumentsRequest(start=DocumentStart(uri=uri, **fields))


def data(content: bytes = b"The gate closes at nine.") -> IngestDocumentsRequest:
    return IngestDocumentsRequest(data=content)


def outcomes(results: Mapping[str, DocumentResult]) -> dict[str, str]:
    """The reason of each rejection, else the outcome."""
    return {
        uri: (
            RejectionReason.Name(result.reason).removeprefix("REJECTION_REASON_")
            if result.reason
            else DocumentResult.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
        )
        for uri, result in results.items()
    }


FILES = {
    "good.md": b"# Gate\n\nThe gate closes at nine.",
    "program.txt": b"\x7fELF" + bytes(range(256)) * 8,
    "noise.md": bytes(range(256)) * 8,
    "picture.png": b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
    "broken.pdf": pdf_of([["Hello"]])[:200],
    "locked.pdf": encrypted_pdf("secret", ["Hello"]),
    "scanned.pdf": scanned_pdf(),
    "no.pdf": b"%PDF-1.7\nnothing that follows is one",
    "feed.xml": b"<feed><entry>Hello</entry></feed>",
    "undecodable.txt": b"\x81\x8d\x8f\x90\x9d\xff" * 50,
    "empty.md": b"",
    "blank.md": b" \n\n ",
    "letter.docx": b"PK\x03\x04" + b"\x00" * 100,
    "big.md": b"a" * 70_000,
    "good.pdf": pdf_of([["The bridge was built in 1904."]]),
}
EXPECTED = {
    "good.md": "INGESTED",
    "program.txt": "BINARY",
    "noise.md": "BINARY",
    "picture.png": "BINARY",
    "broken.pdf": "BROKEN",
    "locked.pdf": "ENCRYPTED",
    "scanned.pdf": "EMPTY",
    "no.pdf": "BROKEN",
    "feed.xml": "UNSUPPORTED_TYPE",
    "undecodable.txt": "UNDECODABLE",
    "empty.md": "EMPTY",
    "blank.md": "EMPTY",
    "letter.docx": "BINARY",
    "big.md": "TOO_LARGE",
    "good.pdf": "INGESTED",
}


async def test_each_is_rejected_alone_with_its_reason() -> None:
    async with served_node(real_reader=True, ingestion={"max_document_bytes": 65_536}) as node:
        response = await node.ingest(pieces("c", FILES))
        results = {result.uri: result for result in response.results}
        assert outcomes(results) == EXPECTED
        assert all(bool(result.detail) == bool(result.reason) for result in response.results)
        assert (response.ingested_count, response.rejected_count) == (2, len(FILES) - 2)
        found = await node.stubs.retrieval.Search(
            SearchRequest(query="bridge 1904", collections=["collections/c"]), metadata=node.key()
        )
        assert found.hits[0].chunk.uri == "good.pdf"
        listed = await node.stubs.knowledge.ListDocuments(
            ListDocumentsRequest(parent="collections/c"), metadata=node.key()
        )
        assert [document.uri for document in listed.documents] == ["good.md", "good.pdf"]


@pytest.mark.slow
async def test_a_file_of_100000_lines_is_taken_in() -> None:
    lines = b"".join(b"entry %d\n" % number for number in range(100_000))
    async with served_node(real_reader=True, retrieval={"sentence_vectors": False}) as node:
        response = await node.ingest(pieces("c", {"register.txt": lines}))
        assert outcomes({r.uri: r for r in response.results}) == {"register.txt": "INGESTED"}
        found = await node.stubs.retrieval.Search(
            SearchRequest(query="entry 87654", collections=["collections/c"], limit=1),
            metadata=node.key(),
        )
        assert "entry 87654\n" in found.hits[0].chunk.text


async def test_what_is_declared_must_be_true(node: ServedNode) -> None:
    text = b"The gate closes at nine."
    digest = hashlib.sha256(text).hexdigest()
    cases = {
        "true": (start("true", sha256=digest.upper(), size_bytes=len(text)), "INGESTED"),
        "other hash": (start("other hash", sha256="0" * 64), "MISMATCH"),
        "other size": (start("other size", size_bytes=3), "MISMATCH"),
        "too large": (start("too large", size_bytes=2**40), "TOO_LARGE"),
        "no hash": (start("no hash", sha256="abc"), "INVALID"),
        "no name": (start(""), "INVALID"),
        "long name": (start("u" * 1001), "INVALID"),
        "long title": (start("long title", title="t" * 501), "INVALID"),
        "attribute": (start("attribute", attributes={"a b": ""}), "INVALID"),
        "same again": (start("true"), "DUPLICATE"),
    }
    sent = [piece for first, _ in cases.values() for piece in (first, data(text))]
    response = await node.ingest([HEADER, *sent])
    told = [outcomes({"": result})[""] for result in response.results]
    assert told == [expected for _, expected in cases.values()]
    assert "sha256" in response.results[1].detail


async def test_content_that_is_known_may_be_left_out(node: ServedNode) -> None:
    text = b"The gate closes at nine."
    known, unknown = hashlib.sha256(text).hexdigest(), "0" * 64
    await node.ingest([HEADER, start(sha256=known), data(text)])
    again = await node.ingest(
        [HEADER, start(sha256=known), start("b.md", sha256=unknown), start("c.md", sha256=NOTHING)]
    )
    told = [outcomes({"": result})[""] for result in again.results]
    assert told == ["UNCHANGED", "MISMATCH", "EMPTY"]


def out_of_order() -> Iterator[tuple[str, list[IngestDocumentsRequest], list[str]]]:
    bad = IngestDocumentsRequest(header=IngestHeader(collection="c"))
    small = IngestDocumentsRequest(
        header=IngestHeader(collection="collections/c", max_chunk_characters=199)
    )
    yield "nothing", [], ["header"]
    yield "no header", [start(), data()], ["header"]
    yield "data first", [data()], ["header"]
    yield "an empty first piece", [IngestDocumentsRequest()], ["header"]
    yield "a bad name", [bad], ["header.collection"]
    yield "chunks too small", [small], ["header.max_chunk_characters"]
    yield "two headers", [HEADER, HEADER], ["piece"]
    yield "data before start", [HEADER, data()], ["piece"]
    yield "an empty piece", [HEADER, start(), IngestDocumentsRequest()], ["piece"]
    yield "data without bytes", [HEADER, start(), data(b"")], ["data"]
    yield "a piece too large", [HEADER, start(), data(b"a" * (2**20 + 1))], ["data"]


async def test_pieces_out_of_order_are_refused(node: ServedNode) -> None:
    for name, sent, fields in out_of_order():
        refusal = await refused(node.ingest(sent))
        assert refusal.code is StatusCode.INVALID_ARGUMENT, name
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", fields), name


async def test_an_unknown_collection_is_not_made_unasked(node: ServedNode) -> None:
    header = IngestDocumentsRequest(header=IngestHeader(collection="collections/none"))
    refusal = await refused(node.ingest([header, start(), data()]))
    assert (refusal.code, refusal.resource) == (StatusCode.NOT_FOUND, ("collection", "none"))


async def test_one_document_too_many_is_refused_and_what_was_stored_stays() -> None:
    def only_ten(container: Container) -> None:
        args: tuple[Any, ...] = container.ingestion.args
        *parts, limits = args
        assert limits().documents == 1000
        container.ingestion.set_args(*parts, IngestLimits(documents=10))

    long = "\n\n".join(f"Paragraph {number}. " + "word " * 200 for number in range(20))
    async with served_node(override=only_ten) as node:
        documents = {f"{number}.md": long.encode() for number in range(11)}
        refusal = await refused(node.ingest(pieces("c", documents)))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["documents"])
        kept = await node.stubs.knowledge.GetCollection(
            GetCollectionRequest(name="collections/c"), metadata=node.key()
        )
        assert 0 < kept.document_count <= 10
        assert kept.indexed_position == kept.position
