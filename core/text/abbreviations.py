"""Full stops that do not end a sentence."""

from __future__ import annotations

import re

_NEVER_LAST = frozenset(
    "mr mrs ms dr prof st mt ft rev hon sr jr gen col lt capt sgt cmdr adm gov sen rep pres "
    "figs eqs vs cf eg ie viz ca approx e.g i.e c.f a.k.a".split()
)
"""Abbreviations that something always follows."""
_BEFORE_NUMBERS = frozenset("no nos nr art sec ch vol vols fig eq p pp ed eds al para".split())
"""Abbreviations before a number; elsewhere they may be words of their own."""
_SOMETIMES_LAST = frozenset(
    "etc inc ltd co corp llc plc bros dept est min max avg jan feb mar apr jun jul aug sep "
    "sept oct nov dec u.s u.k u.n e.u a.m p.m b.c a.d d.c ph.d".split()
)
"""Abbreviations that may also end a sentence: what follows decides."""
_OPENERS = frozenset(
    "the a an it its they their this that these those he she we you i in on at by for from to "
    "if when while after before as but and however there here no not all each most some many "
    "another both such since although because what who where why how".split()
)
"""Words that, with a capital, begin a sentence far more often than they go on a name."""
_LAST_WORD = re.compile(r"(?<![\w.])((?:[^\W\d_]+\.)*[^\W\d_]+)\.\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")


def ends_in_abbreviation(text: str, following: str) -> bool:
    """Whether the full stop that ends `text` belongs to an abbreviation or an initial.

    `following` is the beginning of what comes after the space, "" when a new line comes.
    """
    match = _LAST_WORD.search(text[-16:])
    if match is None:
        return False
    word = match.group(1).lower()
    if word in _NEVER_LAST:
        return True
    if word in _BEFORE_NUMBERS:
        return following[:1].isdigit()
    short = word in _SOMETIMES_LAST or _is_initial(match.group(1))
    return short and bool(following) and not _opens_sentence(following)


def _is_initial(word: str) -> bool:
    """A single capital as in `J. Smith`, or several as in `U.S.`"""
    return all(len(part) == 1 and part.isupper() for part in word.split("."))


def _opens_sentence(following: str) -> bool:
    word = _FIRST_WORD.match(following)
    return word is not None and word.group()[0].isupper() and word.group().lower() in _OPENERS
