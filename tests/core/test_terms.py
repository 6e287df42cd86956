from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.terms import LONGEST_TERM, query_terms, terms

HAN = "锣鼓经网关证书重启过期"
words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("The certificates expired.", ["the", "certif", "expir"]),
        ("Naïve cafés, ÉCOLE!", ["naiv", "cafe", "ecol"]),
        ("the pump's don't isn’t", ["the", "pump", "dont", "isnt"]),
        ("max_output_tokens", ["max_output_tokens", "max", "output", "token"]),
        ("RESOURCE_EXHAUSTED", ["resource_exhausted", "resourc", "exhaust"]),
        ("TurnLogExpired", ["turnlogexpired", "turn", "log", "expir"]),
        ("parseHTTPRequest", ["parsehttprequest", "pars", "http", "request"]),
        ("kill -9", ["kill", "-9", "9"]),
        ("(--output json)", ["--output", "output", "json"]),
        ("v1.10.2", ["v1.10.2", "v1", "10", "2"]),
        ("E1234 0x1F", ["e1234", "0x1f"]),
        ("utf8Decode", ["utf8decode", "utf8", "decod"]),
        ("C++ and C#", ["c++", "c", "and", "c#", "c"]),
        ("guide.md", ["guide.md", "guid", "md"]),
        ("boundary-layer and/or", ["boundari", "layer", "and", "or"]),
        ("x86-64", ["x86-64", "x86", "64"]),
        ("证书过期", ["证", "书", "过", "期", "证书", "书过", "过期"]),
        ("用kill命令", ["用", "kill", "命", "令", "命令"]),
        ("ＡＢＣ１２３ ﬁle", ["abc123", "file"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("- item -- dash – … ?! 😀", ["item", "dash"]),
        ("____ _a_", ["_a_", "a"]),
    ],
)
def test_what_a_text_is_searched_by(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(st.text())
def test_a_term_is_short_and_has_no_blank_and_no_capital(text: str) -> None:
    for term in terms(text):
        assert 0 < len(term) <= LONGEST_TERM
        assert not re.search(r"\s", term)
        assert term == term.lower()
        term.encode()  # no half of a surrogate pair, which no index can store


@given(st.text(), st.text())
def test_texts_apart_keep_their_terms(one: str, other: str) -> None:
    assert terms(f"{one}\n{other}") == terms(one) + terms(other)


@given(st.lists(words, min_size=2, max_size=4), st.sampled_from(["_", ".", ":", "@"]))
def test_an_identifier_is_found_whole_and_by_each_part(parts: list[str], joint: str) -> None:
    identifier = joint.join(parts)
    assert terms(identifier) == [identifier[:LONGEST_TERM], *terms(" ".join(parts))]
    camel = "".join(part.capitalize() for part in parts)
    assert terms(camel)[1:] == terms(" ".join(parts))


@given(words)
def test_case_does_not_matter_within_a_word(word: str) -> None:
    assert terms(word) == terms(word.capitalize()) == terms(word.upper())


@given(st.text(HAN, min_size=1, max_size=10), st.data())
def test_any_piece_of_a_han_text_shares_all_its_terms(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert set(terms(text[start:end])) <= set(terms(text))


@given(st.text(), st.integers(1, 5))
def test_a_query_is_a_bounded_set_of_the_text_s_terms(text: str, limit: int) -> None:
    asked = query_terms(text, limit=limit)
    assert len(asked) == len(set(asked)) <= limit
    assert set(asked) <= set(terms(text))
    assert bool(asked) == bool(terms(text))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the longest river?", ["longest", "river"]),
        ("Why does the pump stop?", ["pump", "stop"]),
        ("什么是锣鼓经？", ["锣", "鼓", "经", "么是", "是锣", "锣鼓", "鼓经"]),
        ("What is it?", ["what", "is", "it"]),
    ],
)
def test_a_question_is_what_it_asks_about(question: str, expected: list[str]) -> None:
    assert query_terms(question) == expected


@pytest.mark.parametrize("unit", ["x", "长", "a_", "-", "'", "a.", "aB", "é", "\u0301", "a-/"])
def test_a_long_text_is_read_in_time(unit: str) -> None:
    """A pattern that looked back would never end here."""
    assert isinstance(terms(unit * 300_000), list)
