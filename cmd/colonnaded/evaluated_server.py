"""A running server as an evaluation sees it: everything goes through the client."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from colonnade.client import AsyncClient, Upload
from core.identifiers import Seconds
from evals.system import Answer, Citation, Intake, SuiteDocument

_DEPTH = 50
"""Passages looked up to see what a citation's chunk says; answers are made from fewer."""


class EvaluatedServer:
    """SystemUnderTest over gRPC, in one collection."""

    def __init__(self, client: AsyncClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    async def ingest(self, documents: Sequence[SuiteDocument]) -> Intake:
        """Take the documents in; unchanged ones are skipped."""
        uploads = [
            Upload(d.uri, d.content, title=d.title, content_type=d.content_type) for d in documents
        ]
        report = await self._client.knowledge.ingest(uploads, self._collection)
        rejected = tuple((result.uri, result.detail) for result in report.rejected)
        return Intake(len(uploads) - len(rejected), rejected)

    async def search(self, query: str, k: int) -> Sequence[str]:
        """The uris of what was found, best first."""
        found = await self._client.search(
            query, limit=min(100, 3 * k), collections=[self._collection]
        )
        return [hit.chunk.uri for hit in found.hits]

    async def ask(self, question: str) -> Answer:
        """The answer to one question, with the passages that it cites looked up beside it."""
        began = perf_counter()
        answer = await self._client.ask(question, collections=[self._collection])
        latency = Seconds(perf_counter() - began)
        texts = await self._texts(question) if answer.citations else {}
        citations = tuple(
            Citation(citation.uri, citation.cited_text, texts.get(citation.chunk_id, ""))
            for citation in answer.citations
        )
        return Answer(
            text=answer.text,
            citations=citations,
            refused=answer.refused,
            answered_by=answer.answered_by.lower(),
            latency=latency,
        )

    async def _texts(self, question: str) -> dict[str, str]:
        found = await self._client.search(question, limit=_DEPTH, collections=[self._collection])
        return {hit.chunk.chunk_id: hit.chunk.text for hit in found.hits}
