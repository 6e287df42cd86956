"""Fusing the ranking by words with the ranking by meaning."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import ChunkId
from core.knowledge import Signal
from core.ports.indexes import Hit
from core.retrieval.fusion import FusedHit, FusionPolicy, fuse

CHUNKS = st.integers(0, 12).map(lambda number: ChunkId(f"c{number:02}"))
POLICIES = st.builds(FusionPolicy, st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))


def rankings(scores: st.SearchStrategy[float]) -> st.SearchStrategy[list[Hit]]:
    """Hits as an index gives them: best first, ties by id."""
    by_chunk = st.dictionaries(CHUNKS, scores, max_size=10)
    return by_chunk.map(
        lambda found: sorted(
            (Hit(chunk, score) for chunk, score in found.items()),
            key=lambda hit: (-hit.score, hit.chunk),
        )
    )


KEYWORD = rankings(st.floats(0.0, 60.0))
DENSE = rankings(st.floats(-1.0, 1.0))


def order(hits: list[FusedHit]) -> list[str]:
    return [hit.chunk for hit in hits]


def hits(**scores: float) -> list[Hit]:
    return [Hit(ChunkId(chunk), score) for chunk, score in scores.items()]


@given(KEYWORD, DENSE, POLICIES, st.booleans())
def test_scores_are_finite_and_between_0_and_1(
    keyword: list[Hit], dense: list[Hit], policy: FusionPolicy, trusted: bool
) -> None:
    for hit in fuse(keyword, dense, policy, dense_trusted=trusted):
        assert math.isfinite(hit.score)
        assert -1e-9 <= hit.score <= 1 + 1e-9


@given(KEYWORD, DENSE, POLICIES, st.booleans())
def test_each_chunk_is_ranked_once_best_first_and_ties_by_id(
    keyword: list[Hit], dense: list[Hit], policy: FusionPolicy, trusted: bool
) -> None:
    fused = fuse(keyword, dense, policy, dense_trusted=trusted)

    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.chunk))
    assert len(set(order(fused))) == len(fused)
    assert {hit.chunk for hit in keyword} <= set(order(fused))


@given(KEYWORD, DENSE, POLICIES, st.booleans())
def test_the_same_hits_give_the_same_ranking(
    keyword: list[Hit], dense: list[Hit], policy: FusionPolicy, trusted: bool
) -> None:
    again = fuse(list(keyword), list(dense), policy, dense_trusted=trusted)

    assert fuse(keyword, dense, policy, dense_trusted=trusted) == again


@given(KEYWORD, DENSE, POLICIES, st.booleans())
def test_a_hit_that_is_better_on_both_sides_is_never_lower(
    keyword: list[Hit], dense: list[Hit], policy: FusionPolicy, trusted: bool
) -> None:
    fused = fuse(keyword, dense, policy, dense_trusted=trusted)
    rank = {hit.chunk: place for place, hit in enumerate(fused)}
    words = {hit.chunk: hit.score for hit in keyword}
    meaning = {hit.chunk: hit.score for hit in dense}

    for one in rank:
        for other in rank:
            better_words = words.get(one, -1.0) > words.get(other, -1.0)
            better_meaning = meaning.get(one, -2.0) > meaning.get(other, -2.0)
            if better_words and better_meaning:
                higher = fused[rank[one]].score >= fused[rank[other]].score
                assert higher


@given(KEYWORD, DENSE, st.floats(0.5, 20.0))
def test_the_scale_of_bm25_does_not_matter(
    keyword: list[Hit], dense: list[Hit], factor: float
) -> None:
    scaled = [Hit(hit.chunk, hit.score * factor) for hit in keyword]

    one = fuse(keyword, dense, FusionPolicy(), dense_trusted=True)
    other = fuse(scaled, dense, FusionPolicy(), dense_trusted=True)

    scores = {hit.chunk: hit.score for hit in one}
    assert {hit.chunk: hit.score for hit in other} == pytest.approx(scores)


@given(KEYWORD, DENSE)
def test_a_dense_side_that_is_not_trusted_changes_no_place(
    keyword: list[Hit], dense: list[Hit]
) -> None:
    fused = fuse(keyword, dense, FusionPolicy(), dense_trusted=False)

    assert sorted(order(fused)) == sorted(hit.chunk for hit in keyword)
    assert order(fused) == order(fuse(keyword, [], FusionPolicy(), dense_trusted=False))


def test_a_clear_lead_by_words_outweighs_a_narrow_one_by_meaning() -> None:
    keyword = hits(named=20.0, other=4.0)
    dense = hits(other=0.42, named=0.41, noise=0.10)

    assert order(fuse(keyword, dense, FusionPolicy(), dense_trusted=True))[0] == "named"


def test_what_both_sides_find_comes_before_what_one_finds_as_well() -> None:
    fused = fuse(
        hits(both=8.0, words=7.9),
        hits(both=0.8, meaning=0.79, far=0.1),
        FusionPolicy(),
        dense_trusted=True,
    )

    assert order(fused)[0] == "both"
    assert set(order(fused)) == {"both", "words", "meaning", "far"}


def test_one_side_alone_keeps_its_order() -> None:
    words = fuse(hits(a=3.0, b=2.0, c=1.0), [], FusionPolicy(), dense_trusted=True)
    meaning = fuse([], hits(a=0.9, b=0.8, c=0.7), FusionPolicy(), dense_trusted=True)

    assert order(words) == ["a", "b", "c"]
    assert order(meaning) == ["a", "b", "c"]


def test_every_score_is_explained() -> None:
    policy = FusionPolicy(keyword=0.75, dense=0.25)
    [first, second] = fuse(hits(a=12.5), hits(a=0.75, b=0.5, c=0.25), policy, dense_trusted=True)[
        :2
    ]

    assert first.signals == (
        Signal("bm25", 12.5, 1, 0.75, 0.75),
        Signal("cosine", 0.75, 1, 0.25, 0.25),
    )
    assert second.signals == (Signal("cosine", 0.5, 2, 0.25, 0.125),)


@given(KEYWORD, DENSE, POLICIES, st.booleans())
def test_a_score_is_the_sum_of_its_signals(
    keyword: list[Hit], dense: list[Hit], policy: FusionPolicy, trusted: bool
) -> None:
    for hit in fuse(keyword, dense, policy, dense_trusted=trusted):
        assert hit.score == sum(signal.contribution for signal in hit.signals)


def test_an_untrusted_cosine_is_still_shown() -> None:
    [hit] = fuse(hits(a=12.5), hits(a=0.7, b=0.3), FusionPolicy(), dense_trusted=False)

    assert hit.signals[1] == Signal("cosine", 0.7, 1, 0.0, 0.0)


def test_nothing_found_is_nothing() -> None:
    assert fuse([], [], FusionPolicy(), dense_trusted=True) == []


@pytest.mark.parametrize("weights", [(-0.1, 0.5), (0.0, 0.0), (0.5, 1.5), (float("nan"), 0.5)])
def test_weights_that_mean_nothing_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        FusionPolicy(*weights)
