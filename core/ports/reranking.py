"""The way to every reranker: choosing, attempts and booking behind one call."""

from __future__ import annotations

from typing import Protocol

from core.call import Call
from core.reranking import Reranked, RerankOrder


class Reranking(Protocol):
    """Reranks by whichever reranker suits and answers, in this process or in another."""

    async def rerank(self, call: Call, order: RerankOrder) -> Reranked:
        """The documents in order, within the call's deadline.

        Raises NotFound for a model that names nothing, FeatureUnsupported where there is none at
        all, ModelsUnavailable where every one failed, BudgetSpent, and DeadlineExceeded.
        """
