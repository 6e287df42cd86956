"""Scores of one ranking against its judgements. A ranking is of different documents."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence


def distinct(uris: Iterable[str]) -> list[str]:
    """A ranking of passages as one of documents: each where its best passage stands."""
    return list(dict.fromkeys(uris))


def ndcg(ranking: Sequence[str], gains: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain at `k`, in [0, 1].

    The gain itself over log2(rank + 1), summed, by what the best ranking would have: as
    trec_eval does it, so without the exponential gain of Burges et al.
    """
    ideal = _discounted(sorted(gains.values(), reverse=True)[:k])
    return _discounted([gains.get(uri, 0) for uri in ranking[:k]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of the relevant documents that is among the first `k`."""
    return len(set(ranking[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """One over the rank of the first relevant document; 0 if none is among the first `k`."""
    for rank, uri in enumerate(ranking[:k], start=1):
        if uri in relevant:
            return 1 / rank
    return 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
