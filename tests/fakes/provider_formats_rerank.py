"""POST /rerank, for the server that plays providers: each piece that is said is a score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fakes.provider_formats import Body, Counts, Piece, Progress, Say


class RerankFormat:
    """Cohere's and Jina's, and that of the servers which copy them."""

    name = "rerank"
    path = "/v1/rerank"
    documents = "documents"
    score = "relevance_score"

    def prompt(self, body: Body) -> str:
        return " ".join([body["query"], *body[self.documents]])

    def limit(self, body: Body) -> int:
        return 1_000_000

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        raise NotImplementedError

    def piece(self, piece: Piece, at: Progress) -> bytes:
        raise NotImplementedError

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        raise NotImplementedError

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> Any:
        reply: dict[str, Any] = {"id": "r-1", "results": self.results(pieces)}
        if counts is not None:
            reply["usage"] = {"total_tokens": counts.prompt}
        return reply

    def results(self, pieces: Iterable[Piece]) -> list[dict[str, Any]]:
        """The best first, as these servers do."""
        scores = [float(piece.text) for piece in pieces if isinstance(piece, Say)]
        found = [{"index": n, self.score: score} for n, score in enumerate(scores)]
        return sorted(found, key=lambda each: -each[self.score])

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"message": message}

    def broken(self, message: str) -> bytes:
        raise NotImplementedError


class TeiFormat(RerankFormat):
    """Hugging Face's Text Embeddings Inference."""

    name = "tei"
    path = "/rerank"
    documents = "texts"
    score = "score"

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> Any:
        return self.results(pieces)
