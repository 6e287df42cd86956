"""One ranking from two: by words (BM25) and by meaning (cosine)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.identifiers import ChunkId
from core.knowledge import Signal
from core.ports.indexes import Hit


@dataclass(frozen=True, slots=True)
class FusionPolicy:
    """How much each side counts; both in [0, 1] and not both 0.

    `untrusted_dense` stands in for `dense` where the embedder was not trained for the question's
    language. The defaults are measured: docs/decisions/0005-fusion.md.
    """

    keyword: float = 0.6
    dense: float = 0.4
    untrusted_dense: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.keyword, self.dense, self.untrusted_dense)
        if not all(0.0 <= weight <= 1.0 for weight in weights):
            raise ValueError("a weight lies between 0 and 1")
        if self.keyword + self.dense == 0.0:
            raise ValueError("the weights of words and meaning cannot both be 0")


@dataclass(frozen=True, slots=True)
class FusedHit:
    """A chunk in the fused ranking.

    `score` is in [0, 1], higher is better, comparable within one search only. `signals` explain
    it: `bm25` and `cosine` as the indexes gave them; a side that did not find the chunk has none.
    """

    chunk: ChunkId
    score: float
    signals: tuple[Signal, ...]


def fuse(
    keyword: Sequence[Hit],
    dense: Sequence[Hit],
    policy: FusionPolicy,
    *,
    dense_trusted: bool,
) -> list[FusedHit]:
    """Both rankings as one, best first, ties by id.

    A convex combination of scores that are normalised per query (Bruch, Gai and Ingber 2023, "An
    Analysis of Fusion Functions for Hybrid Retrieval"):

        score(c) = (w_k * share_k(c) + w_d * share_d(c)) / (w_k + w_d)
        share(c) = (s(c) - low) / (best - low), 0 for a chunk that the side did not find

    `best` is the side's best score of this query. `low` is 0 for BM25, its theoretical least, and
    the worst found cosine for the dense side, since models differ in how much of [-1, 1] they
    use. Unlike ranks, shares keep how far ahead a hit is. A hit that is at least as good on both
    sides is never ranked lower; a side that weighs nothing adds no chunk of its own.
    """
    dense_weight = policy.dense if dense_trusted else policy.untrusted_dense
    total = policy.keyword + dense_weight
    found: dict[ChunkId, list[Signal]] = {}
    for signals in (
        _signals("bm25", keyword, policy.keyword, total, low=0.0),
        _signals("cosine", dense, dense_weight, total, low=None),
    ):
        for chunk, signal in signals.items():
            found.setdefault(chunk, []).append(signal)
    fused = (
        FusedHit(chunk, sum(signal.contribution for signal in signals), tuple(signals))
        for chunk, signals in found.items()
        if any(signal.weight > 0 for signal in signals)
    )
    return sorted(fused, key=lambda hit: (-hit.score, hit.chunk))


def _signals(
    name: str, hits: Sequence[Hit], weight: float, total: float, *, low: float | None
) -> dict[ChunkId, Signal]:
    """One side's part in the score of each chunk that it found; `total` is all sides' weight."""
    scores = [hit.score for hit in hits]
    best = max(scores, default=0.0)
    least = min(scores, default=0.0) if low is None else min([low, *scores])
    counts = weight / total if total > 0 else 0.0
    return {
        hit.chunk: Signal(name, hit.score, rank, counts, counts * _share(hit.score, least, best))
        for rank, hit in enumerate(hits, start=1)
    }


def _share(score: float, low: float, best: float) -> float:
    """Where the score lies between `low` (0) and `best` (1); 1 where all are level."""
    return (score - low) / (best - low) if best > low else 1.0
