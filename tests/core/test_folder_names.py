from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.folder_names import folder_name

names = st.text(st.characters(), max_size=200)  # surrogates too


@given(names)
def test_a_name_is_one_harmless_folder(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_%-][a-z0-9_%~-]*", folder_name(text))
    assert len(folder_name(text)) <= 120


@given(names, names)
def test_different_texts_have_names_that_differ_without_case(one: str, other: str) -> None:
    assert (folder_name(one).casefold() == folder_name(other).casefold()) == (one == other)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("handbook", "handbook"),
        ("Handbook", "%48andbook"),
        ("..", "%2e%2e"),
        ("a/b", "a%2fb"),
        ("%61", "%2561"),
        ("手", "%e6%89%8b"),
        ("", "%"),
    ],
)
def test_how_names_look(text: str, name: str) -> None:
    assert folder_name(text) == name


def test_long_texts_that_begin_alike_keep_apart() -> None:
    assert folder_name("x" * 5000) != folder_name("x" * 5001)
