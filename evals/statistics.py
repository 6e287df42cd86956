"""How sure a figure is."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_Z_95 = 1.959963984540054
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure from `n` cases with its 95 % confidence interval. NaN where there is no case."""

    value: float
    low: float
    high: float
    n: int


def proportion(successes: int, n: int) -> Estimate:
    """A share, with Wilson's score interval (Wilson 1927), which holds for few cases too."""
    if n == 0:
        return _nothing()
    share = successes / n
    z2 = _Z_95 * _Z_95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def mean(values: Sequence[float], *, seed: int, resamples: int) -> Estimate:
    """A mean, with the percentile bootstrap's interval (Efron 1979), the same for the same seed."""
    if not values:
        return _nothing()
    rng = random.Random(seed)
    n = len(values)
    means = sorted(sum(rng.choices(values, k=n)) / n for _ in range(resamples))
    return Estimate(sum(values) / n, *_percentiles(means), n)


def roc_auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """How often a positive scores above a negative, ties half: the area under the ROC curve.

    NaN if either is empty. Takes n log n time (Mann and Whitney's U).
    """
    if not positives or not negatives:
        return math.nan
    ordered = sorted(negatives)
    above = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in positives)
    return above / (2 * len(positives) * len(negatives))


def auc_estimate(
    positives: Sequence[float], negatives: Sequence[float], *, seed: int, resamples: int
) -> Estimate:
    """The area under the ROC curve, with the percentile bootstrap over both classes."""
    if not positives or not negatives:
        return _nothing()
    rng = random.Random(seed)
    areas = sorted(
        roc_auc(rng.choices(positives, k=len(positives)), rng.choices(negatives, k=len(negatives)))
        for _ in range(resamples)
    )
    n = len(positives) + len(negatives)
    return Estimate(roc_auc(positives, negatives), *_percentiles(areas), n)


def refused_when_keeping(
    positives: Sequence[float], negatives: Sequence[float], kept: float
) -> Estimate:
    """The share of negatives below the threshold that keeps the share `kept` of positives."""
    if not positives or not negatives:
        return _nothing()
    descending = sorted(positives, reverse=True)
    threshold = descending[max(math.ceil(kept * len(descending)), 1) - 1]
    return proportion(sum(score < threshold for score in negatives), len(negatives))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def _percentiles(ordered: Sequence[float]) -> tuple[float, float]:
    tail = (1 - _CONFIDENCE) / 2
    last = len(ordered) - 1
    return ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)]


def _nothing() -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, 0)
