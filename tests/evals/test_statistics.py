"""Figures against hand-computed ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics import (
    auc_estimate,
    mean,
    percentile,
    proportion,
    refused_when_keeping,
    roc_auc,
)

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Wilson's interval by hand: (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n).
        (0, 10, 0.0, 0.277533),
        (5, 10, 0.236593, 0.763407),
        (10, 10, 0.722467, 1.0),
        (81, 263, 0.255290, 0.366210),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_wilsons_interval(successes: int, n: int, low: float, high: float) -> None:
    estimate = proportion(successes, n)
    assert estimate.value == successes / n
    assert estimate.low == pytest.approx(low, abs=5e-6)
    assert estimate.high == pytest.approx(high, abs=5e-6)
    assert estimate.n == n


def test_nothing_has_no_figure() -> None:
    for estimate in (
        proportion(0, 0),
        mean([], seed=1, resamples=10),
        auc_estimate([], [1.0], seed=1, resamples=10),
        refused_when_keeping([1.0], [], 0.85),
    ):
        assert estimate.n == 0
        assert math.isnan(estimate.value)
    assert math.isnan(roc_auc([], []))
    assert math.isnan(percentile([], 0.5))


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    values = [0.0, 0.25, 0.5, 0.75, 1.0] * 8
    first = mean(values, seed=7, resamples=500)
    assert first == mean(values, seed=7, resamples=500)
    assert first != mean(values, seed=8, resamples=500)


def test_the_bootstrap_is_near_the_normal_interval() -> None:
    values = [0.0, 1.0] * 200
    estimate = mean(values, seed=3, resamples=2000)
    assert estimate.value == 0.5
    # 0.5 ± 1.96 · √(0.25 / 400) = 0.451 … 0.549
    assert estimate.low == pytest.approx(0.451, abs=0.006)
    assert estimate.high == pytest.approx(0.549, abs=0.006)


def test_equal_values_leave_no_doubt() -> None:
    estimate = mean([0.4] * 5, seed=1, resamples=50)
    assert [estimate.low, estimate.high] == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(
    ("positives", "negatives", "area"),
    [
        ([3.0, 4.0], [1.0, 2.0], 1.0),
        ([1.0, 2.0], [3.0, 4.0], 0.0),
        ([1.0], [1.0], 0.5),
        # Pairs won: 2>1, 2=2 (half), 3>1, 3>2 → 3.5 of 4.
        ([2.0, 3.0], [1.0, 2.0], 0.875),
    ],
)
def test_roc_auc(positives: list[float], negatives: list[float], area: float) -> None:
    assert roc_auc(positives, negatives) == area


@given(SCORES, SCORES)
def test_roc_auc_counts_the_pairs_that_are_won(
    positives: list[float], negatives: list[float]
) -> None:
    won = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    assert roc_auc(positives, negatives) == pytest.approx(won / len(positives) / len(negatives))


def test_the_area_has_an_interval_around_it() -> None:
    estimate = auc_estimate([0.1, 0.4, 0.8, 0.9], [0.2, 0.3, 0.5], seed=1, resamples=200)
    assert estimate.value == pytest.approx(8 / 12)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.n == 7


def test_what_is_refused_when_most_of_the_answerable_is_kept() -> None:
    positives = [float(score) for score in range(1, 21)]
    # 85 % of 20 are the 17 with 4 and more; below 4 are two of the four negatives.
    estimate = refused_when_keeping(positives, [2.0, 3.5, 4.0, 9.0], 0.85)
    assert estimate.value == 0.5


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.51, 3.0), (0.95, 4.0), (0.0, 1.0)])
def test_percentiles_are_values_that_occurred(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value
