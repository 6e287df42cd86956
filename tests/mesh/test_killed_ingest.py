"""A server that is killed while it ingests: what it had acknowledged is there, whole, and once."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc
import pytest

from colonnade.client import Client
from colonnade.v1.ingestion_pb2 import (
    DocumentResult,
    DocumentStart,
    IngestDocumentsRequest,
    IngestDocumentsResponse,
    IngestHeader,
)
from colonnade.v1.knowledge_pb2 import GetCollectionRequest, ListDocumentsRequest
from colonnade.v1.retrieval_pb2 import (
    SEARCH_STRATEGY_KEYWORD,
    SEARCH_STRATEGY_VECTOR,
    SearchHit,
    SearchRequest,
    SearchStrategy,
)
from mesh.server_process import ServerProcess

KILLS = 20
COLLECTION = "collections/register"
WORDS = "harbour lantern meadow granite willow copper saddle orchard thimble beacon".split()
LONGEST_KILL_S = 0.35
"""Within it a call of some documents is at any stage: read, embedded, stored, indexed, answered."""
ALL = 100
"""More than the collection ever has chunks."""


def document(number: int, edition: int = 1) -> bytes:
    """A few chunks, each with a word that all share and one that only this document has."""
    draw = random.Random(f"{number}/{edition}")
    paragraphs = [
        f"Entry {number}, edition {edition}, part {part} of the register, about unique{number}x: "
        + " ".join(draw.choices(WORDS, k=18))
        + "."
        for part in range(1 + number % 2)
    ]
    return "\n\n".join(paragraphs).encode()


Wanted = Mapping[str, bytes]
"""Documents by uri."""


def ingest(client: Client, documents: Wanted) -> grpc.Future[IngestDocumentsResponse]:
    """Begin a call that ingests these."""

    def pieces() -> Iterator[IngestDocumentsRequest]:
        yield IngestDocumentsRequest(
            header=IngestHeader(
                collection=COLLECTION, create_collection=True, max_chunk_characters=240
            )
        )
        for uri, data in documents.items():
            digest = hashlib.sha256(data).hexdigest()
            yield IngestDocumentsRequest(start=DocumentStart(uri=uri, sha256=digest))
            yield IngestDocumentsRequest(data=data)

    return client.stubs.knowledge.IngestDocuments.future(
        pieces(), timeout=30, metadata=client.metadata
    )


def search(client: Client, query: str, strategy: SearchStrategy.ValueType) -> Sequence[SearchHit]:
    request = SearchRequest(collections=[COLLECTION], query=query, limit=ALL, strategy=strategy)
    return client.stubs.retrieval.Search(request, timeout=30, metadata=client.metadata).hits


def check(client: Client, acknowledged: Wanted, maybe: Wanted) -> dict[str, str]:
    """Documents, counts and both indexes say the same, and nothing acknowledged lacks.

    `maybe` is what the killed call had sent. Returns each stored document's digest.
    """
    key = client.metadata
    stored = client.stubs.knowledge.ListDocuments(
        ListDocumentsRequest(parent=COLLECTION, page_size=500), timeout=30, metadata=key
    ).documents
    digests = {each.uri: each.sha256 for each in stored}
    assert len(digests) == len(stored)
    assert acknowledged.keys() <= digests.keys() <= {*acknowledged, *maybe}
    for uri, digest in digests.items():
        allowed = [wanted[uri] for wanted in (acknowledged, maybe) if uri in wanted]
        assert digest in {hashlib.sha256(data).hexdigest() for data in allowed}
    counted = Counter({each.name: each.chunk_count for each in stored})
    by_words = search(client, "register", SEARCH_STRATEGY_KEYWORD)
    by_meaning = search(client, "an entry of the register", SEARCH_STRATEGY_VECTOR)
    for hits in (by_words, by_meaning):
        assert len({hit.chunk.chunk_id for hit in hits}) == len(hits)
        assert Counter(hit.chunk.document for hit in hits) == counted
    whole = client.stubs.knowledge.GetCollection(
        GetCollectionRequest(name=COLLECTION), timeout=30, metadata=key
    )
    assert (whole.document_count, whole.chunk_count) == (len(stored), counted.total())
    assert whole.indexed_position == whole.position
    return digests


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    draw = random.Random(20)
    fresh = (f"{number}.txt" for number in range(10_000))
    acknowledged: dict[str, bytes] = {}
    finished = 0

    def new(count: int) -> dict[str, bytes]:
        names = [next(fresh) for _ in range(count)]
        return {name: document(int(name.removesuffix(".txt"))) for name in names}

    with ServerProcess(tmp_path) as server:
        for _ in range(KILLS):
            with server.client() as client:
                first = new(1)
                assert ingest(client, first).result().ingested_count == 1
                acknowledged |= first
                changed = draw.choice(sorted(acknowledged))
                number = int(changed.removesuffix(".txt"))
                maybe = {changed: document(number, edition=draw.randrange(2, 9)), **new(2)}
                running = ingest(client, maybe)
                time.sleep(draw.uniform(0.0, LONGEST_KILL_S))  # the moment, drawn with a seed
                server.kill()
                if running.exception() is None:
                    acknowledged |= maybe
                    finished += 1
            server.start()
            with server.client() as client:
                digests = check(client, acknowledged, maybe)
                acknowledged |= {
                    uri: data
                    for uri, data in maybe.items()
                    if digests.get(uri) == hashlib.sha256(data).hexdigest()
                }
                rest = ingest(client, maybe).result()  # the ingest goes on where it was
                assert rest.rejected_count == 0
                acknowledged |= maybe
        assert finished < KILLS  # some were killed in the middle
        with server.client() as client:
            assert len(check(client, acknowledged, {})) == len(acknowledged) == 3 * KILLS
            again = ingest(client, acknowledged).result()
            assert {result.outcome for result in again.results} == {
                DocumentResult.OUTCOME_UNCHANGED
            }
            for uri in draw.sample(sorted(acknowledged), 10):
                hits = search(client, f"unique{uri.removesuffix('.txt')}x", SEARCH_STRATEGY_KEYWORD)
                assert {hit.chunk.uri for hit in hits} == {uri}
