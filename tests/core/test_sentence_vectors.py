"""Sentence vectors, drawn towards their chunk."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.knowledge import Vector
from core.retrieval.sentence_vectors import sentence_in_context


def unit(*values: float) -> Vector:
    length = math.hypot(*values)
    return memoryview(array("f", [value / length for value in values]))


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


DIRECTIONS = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(lambda v: unit(*v))


@given(DIRECTIONS, DIRECTIONS, st.floats(0.0, 1.0))
def test_it_is_a_unit_vector_of_float32(sentence: Vector, chunk: Vector, share: float) -> None:
    drawn = sentence_in_context(sentence, chunk, share)

    assert drawn.format == "f"
    assert drawn.readonly
    assert math.isclose(cosine(drawn, drawn), 1.0, abs_tol=1e-5)


@given(DIRECTIONS, DIRECTIONS)
def test_it_lies_between_the_sentence_and_its_chunk(sentence: Vector, chunk: Vector) -> None:
    drawn = sentence_in_context(sentence, chunk)

    apart = cosine(sentence, chunk)
    assert cosine(drawn, chunk) >= apart - 1e-5
    assert cosine(drawn, sentence) >= apart - 1e-5


def test_a_share_of_nothing_is_the_bare_sentence() -> None:
    sentence, chunk = unit(1, 0), unit(0, 1)

    assert sentence_in_context(sentence, chunk, 0.0).tolist() == [1.0, 0.0]
    assert sentence_in_context(sentence, chunk, 1.0).tolist() == [0.0, 1.0]


def test_opposites_that_cancel_out_give_the_chunk() -> None:
    assert sentence_in_context(unit(-1, 0), unit(1, 0), 0.5).tolist() == [1.0, 0.0]


def test_vectors_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        sentence_in_context(unit(1, 0), unit(1, 0, 0))
