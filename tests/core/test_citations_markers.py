"""Citation markers come out of the text, however it is split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.grounding.markers import (
    Marker,
    MarkerStream,
    Parsed,
    feed_markers,
    finish_markers,
    parse_markers,
)


@pytest.mark.parametrize(
    ("source", "clean", "numbers"),
    [
        ("It is long [1]. It is cold.", "It is long. It is cold.", [(1,)]),
        ("It is long. [1] It is cold.", "It is long. It is cold.", [(1,)]),
        ("It is long.[2][3]", "It is long.", [(2,), (3,)]),
        ("It is long [1, 2].", "It is long.", [(1, 2)]),
        ("It is long [2-4].", "It is long.", [(2, 3, 4)]),
        ("河很长【1】。水很冷[2，3]。", "河很长。水很冷。", [(1,), (2, 3)]),
        ("word [1]word", "word word", [(1,)]),
        ("see [1](https://a.example)", "see [1](https://a.example)", []),
        ("see `a[1]` and [2]", "see `a[1]` and", [(2,)]),
        ("```\nx[1] = 2\n```\nDone [1].", "```\nx[1] = 2\n```\nDone.", [(1,)]),
        ("[note 1] and [a] and [1234] and []", "[note 1] and [a] and [1234] and []", []),
        ("open [1", "open [1", []),
        ("trailing blank ", "trailing blank ", []),
    ],
)
def test_markers_leave_the_text(source: str, clean: str, numbers: list[tuple[int, ...]]) -> None:
    parsed = parse_markers(source)
    assert parsed.text == clean
    assert [marker.numbers for marker in parsed.markers] == numbers


def test_a_marker_knows_its_place_and_whether_it_leads() -> None:
    parsed = parse_markers("One [1].\n[2] Two.\n- [3] Three")
    assert parsed.text == "One.\nTwo.\n- Three"
    assert parsed.markers == (
        Marker(3, (1,)),
        Marker(5, (2,), leads=True),
        Marker(12, (3,), leads=True),
    )


def test_only_what_may_become_a_marker_is_held_back() -> None:
    state, parsed = feed_markers(MarkerStream(), "It is long [1")
    assert parsed == Parsed("It is long")
    state, parsed = feed_markers(state, "23]. ")
    assert parsed == Parsed(".", (Marker(10, (123,)),))
    state, parsed = feed_markers(state, "It")
    assert parsed == Parsed(" It")
    assert finish_markers(state) == Parsed()


AWKWARD = st.text(alphabet="ab1,2-[]【】(`\n .，", max_size=60)


def streamed(source: str, cuts: list[int]) -> Parsed:
    state, text = MarkerStream(), ""
    markers: tuple[Marker, ...] = ()
    edges = [0, *sorted(cut % (len(source) + 1) for cut in cuts), len(source)]
    for begin, end in itertools.pairwise(edges):
        state, parsed = feed_markers(state, source[begin:end])
        text, markers = text + parsed.text, markers + parsed.markers
    last = finish_markers(state)
    return Parsed(text + last.text, markers + last.markers)


@settings(max_examples=300)
@given(AWKWARD, st.lists(st.integers(0, 500), max_size=12))
def test_a_stream_is_read_as_the_whole_text_is(source: str, cuts: list[int]) -> None:
    whole = parse_markers(source)
    assert streamed(source, cuts) == whole
    assert streamed(source, list(range(len(source)))) == whole
    assert all(0 <= marker.at <= len(whole.text) for marker in whole.markers)


@given(st.text(alphabet="ab1,[(` \n.", max_size=60))
def test_a_text_that_closes_no_bracket_is_left_as_it_is(source: str) -> None:
    assert parse_markers(source) == Parsed(source)
