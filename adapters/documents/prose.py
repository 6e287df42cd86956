"""Text as a reader should see it: without invisible characters, one space between words."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence

HARD_BREAK = "\u2028"
"""A line break that means one, in text whose other white space does not."""

_NEWLINES = re.compile("\r\n?|[\x0b\x85\u2029]|\u2028")
# Controls, zero-width marks, direction overrides and tag characters: nobody sees them, so they
# could hide words from a person and show them to a model. ZWJ and ZWNJ stay: scripts need them.
_INVISIBLE = re.compile(
    "\x1b\\[[0-9;]*[A-Za-z]|"
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[\xa0\u2000-\u200a\u202f\u205f]")
_WIDE = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60"
_BREAK_IN_WIDE = re.compile(rf"(?<=[{_WIDE}])[ \t]*\n\s*(?=[{_WIDE}])")
_BLANKS = re.compile(r"[^\S\u2028]+")
_AROUND_HARD_BREAK = re.compile(r" *\u2028 *")
_STARTS_A_LINE = re.compile(r"\s|[-*+•>|#=~`]|\d{1,3}[.)]\s")
_NARROWEST_WRAP = 40
_RAGGED = 0.8


def clean(text: str) -> str:
    """Lines end in a newline, spaces are spaces, invisible characters are gone; NFC."""
    text = _NEWLINES.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    text = _SURROGATES.sub("\ufffd", text)
    return unicodedata.normalize("NFC", _SPACES.sub(" ", text))


def flowing(text: str) -> str:
    """Text whose line breaks mean nothing, on one line; HARD_BREAK becomes a newline.

    Between two Chinese or Japanese characters a line break is not even a space.
    """
    text = _BREAK_IN_WIDE.sub("", text)
    text = _AROUND_HARD_BREAK.sub("\n", _BLANKS.sub(" ", text))
    return text.strip()


def unwrapped(lines: Sequence[str]) -> str:
    """A paragraph's lines as one line each that its author meant.

    Lines are put together if all of them look broken by a right margin: each had no room left
    for the first word of the next.
    """
    if len(lines) > 1 and _is_wrapped(lines):
        return flowing("\n".join(lines))
    return "\n".join(lines)


def _is_wrapped(lines: Sequence[str]) -> bool:
    width = max(len(line) for line in lines)
    if width < _NARROWEST_WRAP or any(_STARTS_A_LINE.match(line) for line in lines[1:]):
        return False
    return all(
        len(line) + 1 + len(following.split(None, 1)[0]) > _RAGGED * width
        for line, following in itertools.pairwise(lines)
    )
