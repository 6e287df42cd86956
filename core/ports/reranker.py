"""One model that scores documents against a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.identifiers import Seconds
from core.trace import TraceContext


@dataclass(frozen=True, slots=True)
class Scored:
    """One score a document, in their order, and the tokens that were read; None is unknown."""

    scores: Sequence[float]
    tokens: int | None = None


class Reranker(Protocol):
    """Scores one list of documents in one attempt: no retries, no booking."""

    @property
    def name(self) -> str:
        """The exact model, as attempts are recorded."""

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: Seconds,
        trace: TraceContext | None = None,
    ) -> Scored:
        """How well each document answers the query: finite, and higher is better.

        Scores of one call can be compared with each other, and with nothing else. What exceeds
        the model's window is cut off. `timeout` bounds the whole attempt; a cancel stops it, and
        closes its connection at once. The event loop is not blocked. `trace` is the caller's, for
        a server that may be told it.

        Raises ModelError, also where scores are missing or are no numbers.
        """

    async def close(self) -> None:
        """Free the model; calls that run fail. Idempotent."""
