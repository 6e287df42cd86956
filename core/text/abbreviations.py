"""Full stops that do not end a sentence."""

from __future__ import annotations

import re

_NEVER_LAST_TEXT = """
mr mrs ms dr prof st mt ft rev hon sr jr gen col lt capt sgt cmdr adm gov sen rep pres figs
eqs vs cf eg ie viz ca approx e.g i.e c.f a.k.a
"""
_NEVER_LAST = frozenset(_NEVER_LAST_TEXT.split())
"""Abbreviations that something always follows."""
_BEFORE_NUMBERS_TEXT = """
no nos nr art sec ch vol vols fig eq p pp ed eds al para
"""
_BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS_TEXT.split())
"""Abbreviations before a number; elsewhere they may be words of their own."""
_SOMETIMES_LAST_TEXT = """
etc inc ltd co corp llc plc bros dept est min max avg jan feb mar apr jun jul aug sep sept oct
nov dec u.s u.k u.n e.u a.m p.m b.c a.d d.c ph.d
"""
_SOMETIMES_LAST = frozenset(_SOMETIMES_LAST_TEXT.split())
"""Abbreviations that may also end a sentence: what follows decides."""
_OPENERS_TEXT = """
the a an it its they their this that these those he she we you i in on at by for from to if
when while after before as but and however there here no not all each most some many another
both such since although because what who where why how
"""
_OPENERS = frozenset(_OPENERS_TEXT.split())
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
    """A single capital as in `J. Smith`, or several as in `U.S.` there."""
    return all(len(part) == 1 and part.isupper() for part in word.split("."))


def _opens_sentence(following: str) -> bool:
    word = _FIRST_WORD.match(following)
    return word is not None and word.group()[0].isupper() and word.group().lower() in _OPENERS
