"""What of a sentence can be looked up in a source: numbers, identifiers, names, quotations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from core.text.normal import normal_text, verbatim_key
from core.text.plain_words import is_plain_word
from core.text.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.grounding.sources import Source


class ClaimKind(Enum):
    """The kinds of what can be looked up."""

    NUMBER = "number"
    IDENTIFIER = "identifier"
    NAME = "name"
    QUOTATION = "quotation"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a source must hold for a sentence to rest on it."""

    kind: ClaimKind
    text: str


_CODE = re.compile(r"`([^`\n]+)`")
_QUOTED = re.compile(r'"([^"\n]{2,})"|「([^」\n]+)」|『([^』\n]+)』|《([^》\n]+)》')
_IDENTIFIER = re.compile(
    r"(?<![\w-])--?[A-Za-z][\w-]+"
    r"|(?<![A-Za-z0-9_])(?:/[\w.+-]+){2,}"
    r"|(?<![A-Za-z0-9_])(?:[A-Za-z][A-Za-z0-9]*(?:[_./:@][A-Za-z0-9]+)+"
    r"|[a-z]+[A-Z][A-Za-z0-9_]*|[A-Z]+[a-z]+[A-Z][A-Za-z0-9_]*"
    r"|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]{2,})(?![A-Za-z0-9_])"
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_HAN_NUMBER = re.compile(r"[〇零一二三四五六七八九十百千万亿两]{2,}")
_NUMBER_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_NAME = re.compile(r"(?<![A-Za-z0-9_'])[A-Z][^\W\d_]*(?:['-][^\W\d_]+)*")
_SENTENCE_OPENING = re.compile(r"(?:^|[.!?:]\s+|\n\s*)[\"'(*\s]*\Z")
_NUMBER_NAMES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(_NUMBER_NAMES.split())
    if value > 1  # "one" is a pronoun as often as a number
}


def claims(sentence: str) -> tuple[Claim, ...]:
    """All that can be looked up, each once, in order of kind and place."""
    text = normal_text(sentence)
    code = [Claim(ClaimKind.IDENTIFIER, match) for match in _CODE.findall(sentence)]
    found = [*code, *_quotations(text), *_identifiers(text), *_numbers(text), *_names(text)]
    return tuple(dict.fromkeys(found))


def missing(sentence: str, sources: Sequence[Source]) -> Claim | None:
    """The first claim that none of the sources holds; None if they hold all."""
    for claim in claims(sentence):
        if not any(_holds(source, claim) for source in sources):
            return claim
    return None


def _holds(source: Source, claim: Claim) -> bool:
    if claim.kind is ClaimKind.QUOTATION:
        return verbatim_key(claim.text).rstrip(".,") in source.text.replace(" ", "")
    if claim.kind is ClaimKind.NUMBER:
        return claim.text in set(_number_forms(source.text))
    if claim.kind is ClaimKind.IDENTIFIER:
        bounded = rf"(?<![A-Za-z0-9_]){re.escape(normal_text(claim.text))}(?![A-Za-z0-9_])"
        return re.search(bounded, source.text) is not None
    return _terms_of(source.text).issuperset(terms(claim.text))


@lru_cache(maxsize=64)
def _terms_of(text: str) -> frozenset[str]:
    """A source's terms: the same for each sentence of an answer, and only needed for names."""
    return frozenset(terms(text))


def _quotations(text: str) -> Iterator[Claim]:
    for groups in _QUOTED.findall(text):
        yield Claim(ClaimKind.QUOTATION, next(group for group in groups if group))


def _identifiers(text: str) -> Iterator[Claim]:
    for match in _IDENTIFIER.finditer(text):
        yield Claim(ClaimKind.IDENTIFIER, match.group().rstrip(".:/"))


def _numbers(text: str) -> Iterator[Claim]:
    for form in _number_forms(text):
        yield Claim(ClaimKind.NUMBER, form)


def _number_forms(text: str) -> Iterator[str]:
    """The numbers in one form: `1,230` as `1230`, `three` as `3`, `3.10` as itself."""
    for match in _NUMBER.finditer(text):
        yield re.sub(r",(?=\d{3}(?!\d))", "", match.group())
    for match in _HAN_NUMBER.finditer(text):
        yield match.group()
    for match in _NUMBER_WORD.finditer(text):
        if (word := match.group().lower()) in _NUMBER_WORDS:
            yield _NUMBER_WORDS[word]


def _names(text: str) -> Iterator[Claim]:
    """Words with a capital. One that opens the sentence counts unless it is a plain word."""
    for match in _NAME.finditer(text):
        word = match.group().removesuffix("'s")
        opens = _SENTENCE_OPENING.search(text[: match.start()]) is not None
        if word == "I" or (opens and is_plain_word(word)):
            continue
        yield Claim(ClaimKind.NAME, word)
