"""The form in which two ways to write the same words are equal."""

from __future__ import annotations

import re

_SAME = str.maketrans(
    {
        **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
        **dict.fromkeys(map(ord, "“”„‟«»″〝〞"), '"'),
        **dict.fromkeys(map(ord, "‘’‚‛´′"), "'"),
        **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
        **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"), None),
        ord("‹"): "<",
        ord("⁅"): "[",
        ord("…"): "...",
        ord("。"): ".",
    }
)
_REFERENCES = re.compile(r"\[(?:note )?\d{1,3}\]")
_MARKS = re.compile(r"`+|(?<!\w)_+|_+(?!\w)|\*+(?!\w)|(?<!\w)\*+|(?m:^\s*#{1,6}\s)")
_BLANK = re.compile(r"\s+")


def normal_text(text: str) -> str:
    """`text` with one kind of quotes, dashes, widths and blanks, without Markdown's marks.

    Reference numbers in brackets are left out. Letters and their case stay as they are.
    """
    plain = _MARKS.sub("", _REFERENCES.sub("", text.translate(_SAME)))
    return _BLANK.sub(" ", plain).strip()


def verbatim_key(text: str) -> str:
    """What must be equal for two texts to be the same words: the normal form without blanks."""
    return normal_text(text).replace(" ", "")
