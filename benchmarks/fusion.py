"""How to fuse keyword and dense search: every variant on every set.

    COLONNADE_DATA=… python -m benchmarks.fusion [SET/EMBEDDER …]

The weights are chosen on cranfield and cmrc2018-dev and only reported on squad2-rhine. Vectors
are kept in build/embeddings, so that only the first run takes long.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from adapters.embedders.e5_nano import e5_nano
from adapters.embedders.minilm_onnx import minilm_onnx
from benchmarks.retrieval.bm25 import Bm25
from benchmarks.retrieval.embedded import EmbeddedSet, Matrix, embedded, in_context, nearest_of
from benchmarks.retrieval.sets import (
    RetrievalSet,
    figures,
    find_set,
    interval_of_difference,
    load_set,
    mean,
    ndcg_at_10,
    reciprocal_rank_at_10,
    success_at,
)
from core.identifiers import ChunkId
from core.ports.embedder import Embedder
from core.ports.indexes import Hit
from core.retrieval.fusion import FusionPolicy, fuse
from core.retrieval.sentence_vectors import CHUNK_SHARE

DEPTH = 50
"""Hits that each side brings."""
RRF_CONSTANT = 60  # Cormack, Clarke and Büttcher 2009
WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)
MEASURES = {
    "nDCG@10": ndcg_at_10,
    "hit@1": success_at(1),
    "hit@3": success_at(3),
    "hit@5": success_at(5),
    "MRR@10": reciprocal_rank_at_10,
}
RUNS: list[tuple[str, Callable[[], Embedder]]] = [
    ("cranfield", minilm_onnx),
    ("cmrc2018-dev", e5_nano),
    ("cmrc2018-dev", minilm_onnx),
    ("squad2-rhine", minilm_onnx),
    ("squad2-rhine", e5_nano),
    ("cranfield", e5_nano),
]

Hits = Sequence[tuple[int, float]]
Ranking = list[int]


@dataclass(frozen=True, slots=True)
class Sides:
    """What each side finds for each question."""

    keyword: list[Hits]
    dense: dict[str, list[Hits]]  # by how texts are represented


async def main(chosen: Sequence[str]) -> None:
    """Print a table for each set and embedder."""
    for name, make in RUNS:
        if chosen and f"{name}/{make.__name__}" not in chosen:
            continue
        embedder = make()
        data = load_set(find_set(name))
        vectors = await embedded(data, embedder)
        print(f"\n{name} with {embedder.name}: {len(data.texts)} texts, ", end="")
        print(f"{len(vectors.sentences)} sentences, {len(data.questions)} questions")
        sides = sides_of(data, vectors)
        report(data, sides)
        compare(data, sides)
        await embedder.close()


def sides_of(data: RetrievalSet, vectors: EmbeddedSet) -> Sides:
    """Both sides' hits, the dense one's for each representation."""
    index = Bm25(data.texts)
    texts = vectors.questions @ vectors.texts.T
    bare = nearest_of(texts, vectors.questions @ vectors.sentences.T, vectors.owner)
    drawn = vectors.questions @ in_context(vectors, CHUNK_SHARE).T
    return Sides(
        [index.search(question, DEPTH) for question in data.questions],
        {
            "chunk": _nearest(texts),
            "bare sentences": _nearest(bare),
            "in context": _nearest(nearest_of(texts, drawn, vectors.owner)),
        },
    )


def report(data: RetrievalSet, sides: Sides) -> None:
    """One line a variant: its measures, and how far its first one is from BM25's."""
    print(f"{'variant':34}" + "".join(f"{name:>9}" for name in MEASURES) + "   first - BM25 (95 %)")
    baseline: list[float] | None = None
    for label, rankings in variants(sides):
        found = [figures(rankings, data, measure) for measure in MEASURES.values()]
        baseline = baseline or found[0]
        low, high = interval_of_difference(found[0], baseline)
        line = "".join(f"{mean(values):9.3f}" for values in found)
        print(f"{label:34}{line}   {low:+.3f} … {high:+.3f}", flush=True)


def compare(data: RetrievalSet, sides: Sides) -> None:
    """What sentences in context gain over the other ways that could have been shipped."""
    ranked = dict(variants(sides))
    ours = ranked["as shipped, in context"]
    for label in ("as shipped, chunk", "as shipped, bare sentences", "RRF, chunk", "BM25"):
        print(f"as shipped, in context - {label}:", end="")
        for name, measure in MEASURES.items():
            theirs = figures(ranked[label], data, measure)
            low, high = interval_of_difference(figures(ours, data, measure), theirs)
            print(f"  {name} {low:+.3f} … {high:+.3f}", end="")
        print(flush=True)


def variants(sides: Sides) -> Iterator[tuple[str, list[Ranking]]]:
    """Every way to rank, BM25 alone first."""
    yield "BM25", [[place for place, _ in hits] for hits in sides.keyword]
    for how, dense in sides.dense.items():
        yield how, [[place for place, _ in hits] for hits in dense]
    for how, dense in sides.dense.items():
        pairs = list(zip(sides.keyword, dense, strict=True))
        yield f"RRF, {how}", [reciprocal_rank_fusion(*pair) for pair in pairs]
        for name, normalise in NORMALISERS.items():
            for weight in WEIGHTS:
                fused = [combination(*pair, weight, normalise) for pair in pairs]
                yield f"{name} {weight}, {how}", fused
        yield f"as shipped, {how}", [shipped(*pair) for pair in pairs]


def reciprocal_rank_fusion(keyword: Hits, dense: Hits) -> Ranking:
    """Sum of 1 / (60 + rank)."""
    scores: dict[int, float] = {}
    for hits in (keyword, dense):
        for rank, (place, _) in enumerate(hits, start=1):
            scores[place] = scores.get(place, 0.0) + 1 / (RRF_CONSTANT + rank)
    return _best_first(scores)


Normalise = Callable[[list[float], bool], list[float]]
"""Scores of one side, best first; the flag says that they are BM25's."""


def combination(keyword: Hits, dense: Hits, weight: float, normalise: Normalise) -> Ranking:
    """Weighted sum of normalised scores; `weight` is the dense side's."""
    scores: dict[int, float] = {}
    for hits, share, words in ((keyword, 1 - weight, True), (dense, weight, False)):
        values = normalise([score for _, score in hits], words)
        for (place, _), value in zip(hits, values, strict=True):
            scores[place] = scores.get(place, 0.0) + share * value
    return _best_first(scores)


def _from_worst(scores: list[float], words: bool) -> list[float]:  # noqa: ARG001
    low = min(scores, default=0.0)
    return _linear(scores, low)


def _from_least(scores: list[float], words: bool) -> list[float]:
    return _linear(scores, 0.0 if words else min(scores, default=0.0))


def _theoretical(scores: list[float], words: bool) -> list[float]:
    return _linear(scores, 0.0 if words else -1.0)


def _cosine_as_is(scores: list[float], words: bool) -> list[float]:
    return _linear(scores, 0.0) if words else scores


def _linear(scores: list[float], low: float) -> list[float]:
    best = max(scores, default=0.0)
    return [(score - low) / (best - low) if best > low else 1.0 for score in scores]


# What counts as nothing, for BM25 and for the cosine.
NORMALISERS: dict[str, Normalise] = {
    "min-max": _from_worst,
    "0, min": _from_least,
    "0, -1": _theoretical,
    "0, raw": _cosine_as_is,
}


def shipped(keyword: Hits, dense: Hits) -> Ranking:
    """The product's own function with its default policy."""
    fused = fuse(_as_hits(keyword), _as_hits(dense), FusionPolicy(), dense_trusted=True)
    return [int(hit.chunk) for hit in fused]


def _as_hits(hits: Hits) -> list[Hit]:
    return [Hit(ChunkId(f"{place:06}"), score) for place, score in hits]


def _best_first(scores: dict[int, float]) -> Ranking:
    return sorted(scores, key=lambda place: (-scores[place], place))


def _nearest(scores: Matrix) -> list[Hits]:
    best = (-scores).argsort(axis=1, kind="stable")[:, :DEPTH]
    return [
        [(int(place), float(row[place])) for place in places]
        for row, places in zip(scores, best, strict=True)
    ]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
