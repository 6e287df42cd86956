"""Texts scored by the words of a query, and two ways of scoring made one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reranking import Ranked, best_first
from core.retrieval.blending import blended
from core.retrieval.lexical_scores import lexical_scores

WORDS = st.sampled_from(["lamp", "keeper", "sea", "stone", "灯塔", "the"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=6)
SCORES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8)


def test_rare_words_count_more_than_usual_ones() -> None:
    texts = ["the lamp", "the keeper", "the lamp", "the lamp"]
    lamp, keeper, *_ = lexical_scores("lamp keeper", texts)
    assert 0 < lamp < keeper


def test_what_holds_more_of_the_query_in_fewer_words_is_better() -> None:
    both, one, long, none = lexical_scores(
        "lamp keeper", ["lamp keeper", "lamp sea", "lamp " + "sea " * 50, "sea"]
    )
    assert both > one > long > none == 0


@given(TEXTS, TEXTS)
def test_scores_are_finite_and_not_negative(asked: list[str], texts: list[str]) -> None:
    scores = lexical_scores(" ".join(asked), texts)
    assert len(scores) == len(texts)
    assert all(math.isfinite(score) and score >= 0 for score in scores)


@pytest.mark.parametrize("texts", [[""], [" ", "\n"], ["灯塔"]])
def test_texts_without_a_shared_word(texts: list[str]) -> None:
    assert lexical_scores("lamp", texts) == [0.0] * len(texts)


def test_a_blend_weighs_both() -> None:
    alike, shared = [0.9, 0.1, 0.5], [0.0, 10.0, 5.0]
    assert [each.index for each in best_first(blended(alike, shared, 0.2))] == [0, 2, 1]
    assert [each.index for each in best_first(blended(alike, shared, 0.8))] == [1, 2, 0]
    assert blended(alike, [3.0, 3.0, 3.0], 0.5) == pytest.approx(
        [each / 2 for each in blended(alike, [0.0] * 3, 0.0)]
    )


@given(SCORES)
def test_what_all_have_alike_changes_no_order(scores: list[float]) -> None:
    order = [each.index for each in best_first(scores)]
    made = blended(scores, [1.0] * len(scores))
    assert all(map(math.isfinite, made))
    ranks = [made[index] for index in order]
    assert ranks == sorted(ranks, reverse=True)


def test_nothing_is_nothing() -> None:
    assert blended([], []) == []
    assert best_first([]) == ()


@given(st.lists(st.floats(0, 1), max_size=8), st.none() | st.integers(1, 9))
def test_the_best_come_first_and_equal_ones_in_their_order(
    scores: list[float], limit: int | None
) -> None:
    ranked = best_first(scores, limit)
    assert len(ranked) == min(len(scores), limit or len(scores))
    assert [*ranked] == sorted(ranked, key=lambda each: (-each.score, each.index))
    assert all(each == Ranked(each.index, scores[each.index]) for each in ranked)
