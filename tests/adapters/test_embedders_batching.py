"""Texts made fit for a model, and cut into batches."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from adapters.embedders.batching import BatchLimits, batches, fit_text

TEXTS = st.lists(st.text(max_size=40), max_size=60)
LIMITS = st.builds(BatchLimits, st.integers(1, 9), st.integers(1, 200))


@given(TEXTS, LIMITS)
def test_every_text_is_in_one_batch(texts: list[str], limits: BatchLimits) -> None:
    places = [place for batch in batches(texts, limits) for place in batch]

    assert sorted(places) == list(range(len(texts)))


@given(TEXTS, LIMITS)
def test_no_batch_is_beyond_its_limits_unless_it_is_one_text(
    texts: list[str], limits: BatchLimits
) -> None:
    for batch in batches(texts, limits):
        padded = len(batch) * max(len(texts[place]) for place in batch)
        assert len(batch) <= limits.texts
        assert len(batch) == 1 or padded <= limits.characters


@given(TEXTS, LIMITS)
def test_texts_go_from_short_to_long(texts: list[str], limits: BatchLimits) -> None:
    lengths = [len(texts[place]) for batch in batches(texts, limits) for place in batch]

    assert lengths == sorted(lengths)


@given(st.text(st.characters(exclude_categories=()), max_size=200), st.integers(1, 50))
def test_a_fit_text_is_short_and_safe_for_native_code(text: str, characters: int) -> None:
    fit = fit_text(text, characters)

    assert len(fit) <= characters
    assert "\0" not in fit
    fit.encode("utf-8")


def test_no_code_point_is_left_that_grows_by_normalising() -> None:
    fit = fit_text("\ufdfa" * 100, 1_000)

    assert fit == unicodedata.normalize("NFKC", fit)
    assert "\ufdfa" not in fit


def test_plain_text_is_left_alone() -> None:
    assert fit_text("Straße, café, 屋顶 🐈", 100) == "Straße, café, 屋顶 🐈"
