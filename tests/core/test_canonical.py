"""Equal values have equal digests, whatever order they were built in; others have others."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.canonical import digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class Place:
    x: int
    y: int = 0


@given(st.dictionaries(st.text(max_size=5), plain, max_size=6))
def test_the_order_of_keys_does_not_count(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert digest(value) == digest(turned)


@given(plain | st.floats(), st.text(max_size=5))
def test_it_is_that_of_what_a_json_encoder_writes(value: object, text: str) -> None:
    def encoded(whole: object) -> str:
        written = json.dumps(whole, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(written.encode()).hexdigest()

    assert digest(value) == encoded(value)
    assert digest({text: (Point(1), Colour.RED, {text, "b"}, Decimal("1.50"))}) == encoded(
        {text: [{"": "Point", "x": 1, "y": 0}, "red", sorted({text, "b"}), "1.50"]}
    )


@given(st.sets(st.text(max_size=5)))
def test_the_order_of_a_set_does_not_count(value: set[str]) -> None:
    turned = dict.fromkeys(sorted(value, reverse=True))
    assert digest(value) == digest(frozenset(turned)) == digest(turned.keys())


@given(plain, plain)
def test_other_values_have_other_digests(one: object, two: object) -> None:
    if repr(one) == repr(two):
        assert digest(one) == digest(two)
    elif one != two:
        assert digest(one) != digest(two)


def test_sequences_are_alike_and_their_order_counts() -> None:
    assert digest([1, 2]) == digest((1, 2))
    assert digest([1, 2]) != digest([2, 1])


def test_types_of_values_count() -> None:
    alike = (Point(1), Place(1), {"x": 1, "y": 0}, [1, 0], "1", 1, True, None, "red", Decimal(7))
    assert len({digest(value) for value in alike}) == len(alike)
    assert digest(Point(1)) == digest(Point(1, 0))
    assert digest(Colour.RED) == digest("red")


@pytest.mark.parametrize("value", [b"bytes", object(), Point, iter([])])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="canonical"):
        digest(value)


def test_it_is_the_same_in_another_process() -> None:
    value = {"b": {"z", "a"}, "a": ["é", 1.5, None]}
    code = (
        "from core.canonical import digest; print(digest({'a': ['é', 1.5, None], 'b': {'a', 'z'}}))"
    )
    told = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == digest(value)
