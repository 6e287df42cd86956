"""What the embedded reranker gains over no reranker, by the share of the words in its scores.

    COLONNADE_DATA=… python -m benchmarks.reranking [SET/EMBEDDER …]

The first 50 hits of BM25, and of the search as it is shipped, are put in another order. Vectors
are kept in build/embeddings, so that only the first run takes long.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence

from adapters.embedders.e5_nano import e5_nano
from adapters.embedders.minilm_onnx import minilm_onnx
from benchmarks.fusion import DEPTH, MEASURES, Ranking, shipped, sides_of
from benchmarks.retrieval.embedded import EmbeddedSet, embedded
from benchmarks.retrieval.sets import (
    RetrievalSet,
    figures,
    find_set,
    interval_of_difference,
    load_set,
    mean,
)
from core.ports.embedder import Embedder
from core.reranking import best_first
from core.retrieval.blending import blended
from core.retrieval.lexical_scores import lexical_scores

SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
RUNS: list[tuple[str, Callable[[], Embedder]]] = [
    ("cranfield", minilm_onnx),
    ("cmrc2018-dev", e5_nano),
    ("squad2-rhine", minilm_onnx),
    ("squad2-rhine", e5_nano),
]


async def main(chosen: Sequence[str]) -> None:
    """Print a table for each set and embedder."""
    for name, make in RUNS:
        if chosen and f"{name}/{make.__name__}" not in chosen:
            continue
        embedder = make()
        data = load_set(find_set(name))
        vectors = await embedded(data, embedder)
        print(f"\n{name} with {embedder.name}: {len(data.questions)} questions", flush=True)
        for label, before in candidates(data, vectors):
            report(data, vectors, label, before)
        await embedder.close()


def candidates(data: RetrievalSet, vectors: EmbeddedSet) -> Iterator[tuple[str, list[Ranking]]]:
    """What is put in another order."""
    sides = sides_of(data, vectors)
    yield "BM25", [[place for place, _ in hits] for hits in sides.keyword]
    pairs = zip(sides.keyword, sides.dense["in context"], strict=True)
    yield "as shipped", [shipped(*pair)[:DEPTH] for pair in pairs]


def report(data: RetrievalSet, vectors: EmbeddedSet, label: str, before: Sequence[Ranking]) -> None:
    """One line a share, and how far its first measure is from no reranker."""
    print(f"{label:20}" + "".join(f"{name:>9}" for name in MEASURES) + "   nDCG@10 - none (95 %)")
    plain = [figures(before, data, measure) for measure in MEASURES.values()]
    print(f"{'  none':20}" + "".join(f"{mean(values):9.3f}" for values in plain), flush=True)
    scores = [_scores(data, vectors, number, found) for number, found in enumerate(before)]
    for share in SHARES:
        after = [
            [found[each.index] for each in best_first(blended(alike, shared, share))]
            for found, (alike, shared) in zip(before, scores, strict=True)
        ]
        told = [figures(after, data, measure) for measure in MEASURES.values()]
        low, high = interval_of_difference(told[0], plain[0])
        line = "".join(f"{mean(values):9.3f}" for values in told)
        print(f"{f'  {share:.0%} words':20}{line}   {low:+.3f} … {high:+.3f}", flush=True)


def _scores(
    data: RetrievalSet, vectors: EmbeddedSet, number: int, found: Ranking
) -> tuple[list[float], list[float]]:
    """The likeness of each text that was found, and its words' score."""
    alike = vectors.texts[found] @ vectors.questions[number]
    shared = lexical_scores(data.questions[number], [data.texts[place] for place in found])
    return [float(value) for value in alike], shared


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
