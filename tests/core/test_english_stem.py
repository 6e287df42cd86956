from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.english_stem import english_stem

SAME_STEM = """
expire expires expired expiring
connect connected connecting connection connections
index indexes indexed indexing
run runs running
hope hopes hoped hoping
hop hops hopped hopping
rotate rotates rotated rotating rotation rotations
retry retries retried retrying
relate relation relational
certificate certificates
lie lies lying
add adds added adding
agree agreed agrees
"""
OTHER_STEM = "hope hop, organize organ, international intern, universe university, news new"


@pytest.mark.parametrize("line", SAME_STEM.strip().split("\n"))
def test_forms_of_a_word_have_one_stem(line: str) -> None:
    assert len({english_stem(word) for word in line.split()}) == 1


@pytest.mark.parametrize("pair", OTHER_STEM.split(", "))
def test_words_that_look_alike_keep_apart(pair: str) -> None:
    one, other = pair.split()
    assert english_stem(one) != english_stem(other)


# Suffixes of the algorithm in every order, so that all its steps meet.
SUFFIXES = "s es ed ing ly ization ational fulness ousness iveness ment ement able ic ness e y ll"
words = st.builds(
    lambda stem, suffixes: stem + "".join(suffixes),
    st.text("abcdefghilmnoprstuvwz", min_size=1, max_size=6),
    st.lists(st.sampled_from(SUFFIXES.split()), max_size=3),
)


@given(words)
def test_the_steps_are_those_of_the_published_algorithm(word: str) -> None:
    """Compared with another implementation of it."""
    tantivy = pytest.importorskip("tantivy", reason="tantivy has the other implementation")
    english = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(
        tantivy.Filter.stemmer("english")
    )
    assert [english_stem(word)] == english.build().analyze(word)


@given(st.text("abcdefghijklmnopqrstuvwxyz"))
def test_a_stem_is_no_longer_than_its_word_by_more_than_an_e(word: str) -> None:
    assert len(english_stem(word)) <= len(word) + 1
