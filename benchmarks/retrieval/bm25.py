"""BM25 in memory, exact, over the product's own terms: what the keyword index should equal."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from core.text.terms import query_terms, terms

K1 = 1.2
B = 0.75


class Bm25:
    """Okapi BM25 as Lucene has it: idf = ln(1 + (N - n + 0.5) / (n + 0.5))."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [Counter(terms(text)) for text in texts]
        lengths = [counts.total() for counts in counted]
        average = sum(lengths) / max(len(lengths), 1) or 1.0
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, counts in enumerate(counted):
            norm = K1 * (1 - B + B * lengths[place] / average)
            for term, count in counts.items():
                self._postings[term].append((place, count * (K1 + 1) / (count + norm)))
        self._size = len(texts)

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """The best places and their scores, ties by place."""
        scores: dict[int, float] = defaultdict(float)
        for term in query_terms(question):
            postings = self._postings.get(term, [])
            idf = math.log(1 + (self._size - len(postings) + 0.5) / (len(postings) + 0.5))
            for place, weight in postings:
                scores[place] += idf * weight
        return sorted(scores.items(), key=lambda found: (-found[1], found[0]))[:limit]
