"""Two ways to score the same texts, made one."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEXICAL_SHARE = 0.3
"""Measured: docs/decisions/0024-reranking.md."""


def blended(
    likeness: Sequence[float], lexical: Sequence[float], share: float = LEXICAL_SHARE
) -> list[float]:
    """Both in standard scores, `share` of the words' and the rest of the likeness.

    What all texts have alike says nothing of their order, and counts nothing: the scores are of
    this list alone.
    """
    pairs = zip(_standard(likeness), _standard(lexical), strict=True)
    return [(1 - share) * alike + share * shared for alike, shared in pairs]


def _standard(scores: Sequence[float]) -> list[float]:
    """Each score by how many deviations it lies above the mean."""
    if not scores:
        return []
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    if deviation < 1e-9:
        return [0.0] * len(scores)
    return [(score - mean) / deviation for score in scores]
