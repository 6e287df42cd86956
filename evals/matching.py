"""Is it the accepted answer? Compared in words, so that dress does not matter."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_MARKERS = re.compile(r"[\[【]\d{1,3}(?:\s*[,，、]\s*\d{1,3})*[\]】]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_WORD = re.compile(
    r"\d+(?:\.\d+)*"
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
    r"|(?:(?<![\w.-])[.-]{1,2})?[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
_ARTICLES = frozenset({"a", "an", "the"})


def words(text: str) -> list[str]:
    """The words of a text that count: NFKC, case folded, no marks, articles or citation numbers.

    Each hanzi, kana or syllable of Hangul is a word of its own; a number keeps its decimals and
    loses its thousands separators; a name keeps the dot or hyphens that it begins with
    (`.backup`, `--output`).
    """
    plain = unicodedata.normalize("NFKC", _MARKERS.sub(" ", text)).casefold()
    plain = _THOUSANDS.sub("", plain)
    return [word for word in _WORD.findall(plain) if word not in _ARTICLES]


def is_exact(text: str, answers: Sequence[str]) -> bool:
    """Whether the text is one of the answers and nothing else."""
    given = words(text)
    return bool(given) and any(given == words(answer) for answer in answers)


def contains(text: str, answers: Sequence[str]) -> bool:
    """Whether one of the answers stands in the text, in whole words."""
    given = _joined(words(text))
    return any(_joined(accepted) in given for answer in answers if (accepted := words(answer)))


def f1(text: str, answers: Sequence[str]) -> float:
    """The best overlap with an answer: the harmonic mean of precision and recall, by words."""
    return max((_overlap(words(text), words(answer)) for answer in answers), default=0.0)


def is_quoted_from(quote: str, source: str) -> bool:
    """Whether the quote stands in the source, letter by letter but for white space."""
    return "".join(quote.split()) in "".join(source.split())


def _overlap(given: list[str], accepted: list[str]) -> float:
    shared = (Counter(given) & Counter(accepted)).total()
    return 2 * shared / (len(given) + len(accepted)) if shared else 0.0


def _joined(found: list[str]) -> str:
    return f" {' '.join(found)} "
