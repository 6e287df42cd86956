"""Text as the terms that it is searched by: stemmed words, identifiers, CJK characters.

Two texts are about the same thing where they share terms. The rules are the same for what is
searched and for what is asked, so that terms need only be compared for equality.
"""

from __future__ import annotations

import re
import unicodedata

from core.text.english_stem import english_stem
from core.text.function_words import FUNCTION_WORDS

TERMS_VERSION = 1
"""Goes up when the same text gives other terms: what was built with the old ones is stale."""

LONGEST_TERM = 128
"""Characters; of a longer word its beginning stands for the whole."""

_UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Han, Kana and Hangul: written without spaces, or with endings grown onto the words."""

_MARKS = (
    "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0df3"
    "\u0e31-\u0e4e\u0eb1-\u0ecd\u1000-\u109f\u17b4-\u17d3"
)
r"""Vowel signs inside the words of Semitic, Indic and South-East Asian scripts, no `\w`."""

_LETTER = rf"(?:(?![{_UNSPACED}])[\w{_MARKS}])"
_PIECES = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)"
    r"|(?P<word>(?:(?<![\w-])-{1,2}(?=\w))?"  # an option: -9, --output
    rf"{_LETTER}+(?:[-._:/@'’]+{_LETTER}+)*"
    r"(?:\+\+|\#)?)"  # C++, C#
)
_JOINTS = re.compile(r"[-._:/@+#]+")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
_ORDINARY_COMPOUND = re.compile(r"[^\W\d_]+(?:[-/][^\W\d_]+)+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_POSSESSIVE = re.compile(r"['’][sS]$")
_APOSTROPHES = re.compile(r"['’]")


def terms(text: str) -> list[str]:
    """The terms of `text` in its order, with repeats; lower-cased, accents taken off.

    An English word gives its stem. What is put together (`max_output_tokens`, `TurnLogExpired`,
    `1.10.2`, `--output`, `guide.md`) gives itself whole and then its parts; an ordinary compound
    (`boundary-layer`, `and/or`) only its parts. A run of Han, Kana or Hangul gives each
    character, then each pair of neighbours.
    """
    found: list[str] = []
    for piece in _PIECES.finditer(unicodedata.normalize("NFKC", text)):
        if run := piece["unspaced"]:
            found += run
            found += (run[i : i + 2] for i in range(len(run) - 1))
        else:
            found += _word_and_parts(piece["word"])
    return found


def query_terms(text: str, *, limit: int = 256) -> list[str]:
    """What to look for when somebody asks `text`: at most `limit` distinct terms, in its order.

    Words that only build the sentence (`what`, `the`, `的`) are left out, unless there is nothing
    else. Of a very long text only the beginning is read.
    """
    distinct = dict.fromkeys(terms(text[: limit * LONGEST_TERM]))
    telling = [term for term in distinct if term not in _FUNCTION_TERMS]
    return (telling or list(distinct))[:limit]


def _word_and_parts(word: str) -> list[str]:
    word = _APOSTROPHES.sub("", _POSSESSIVE.sub("", word))
    parts = [part for joined in _JOINTS.split(word) for part in _HUMPS.split(joined) if part]
    if parts == [word]:
        return [_simple_term(word)]
    if _ORDINARY_COMPOUND.fullmatch(word):
        return [_simple_term(part) for part in parts]
    return [_folded(word), *map(_simple_term, parts)] if parts else []


def _simple_term(word: str) -> str:
    folded = _folded(word)
    return english_stem(folded) if folded.isascii() and folded.isalpha() else folded


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()[:LONGEST_TERM]
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", word)).casefold()
    return unicodedata.normalize("NFKC", bare)[:LONGEST_TERM]


_FUNCTION_TERMS = frozenset(term for words in FUNCTION_WORDS for term in terms(words))
