"""The passages of an answer, made ready to look sentences up in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from core.grounding.citations import SourcePlace
from core.text.normal import normal_text, verbatim_key
from core.text.sentences import Sentence, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.knowledge import Passage

_TERMINATORS = ".!?;:,"
_REMEMBERED = 64
"""Texts whose forms are kept, as each sentence of an answer is looked up in the same ones."""
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Source:
    """One passage under its citation number. What it is searched by is made when it is needed."""

    number: int
    passage: Passage

    @property
    def text(self) -> str:
        """The normal form of all that the model saw of it, title and headings included."""
        chunk = self.passage.chunk
        return _normal("\n".join((self.passage.title, *chunk.heading, chunk.text)))

    def place_of(self, key: str) -> SourcePlace | None:
        """Where the words stand as one or more whole sentences. `key` ends in no full stop."""
        text = self.passage.chunk.text
        if _letters(key) not in _letters(_normal(text)):
            return None
        keys = _sentence_keys(text)
        runs = (self._run_from(keys[first:], key) for first in range(len(keys)))
        return next((run for run in runs if run is not None), None)

    def _run_from(self, keys: Sequence[tuple[Sentence, str]], key: str) -> SourcePlace | None:
        joined = ""
        for sentence, its_key in keys:
            joined += its_key
            if joined.rstrip(_TERMINATORS) == key:
                return SourcePlace(self.number, keys[0][0].start, sentence.end)
            if not key.startswith(joined):
                return None
        return None


@lru_cache(maxsize=_REMEMBERED)
def _normal(text: str) -> str:
    return normal_text(text)


@lru_cache(maxsize=_REMEMBERED)
def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text)


@lru_cache(maxsize=_REMEMBERED)
def _sentence_keys(text: str) -> tuple[tuple[Sentence, str], ...]:
    return tuple((sentence, verbatim_key(sentence.text)) for sentence in sentences(text))


@dataclass(frozen=True, slots=True)
class Sources:
    """All passages of one answer, in the order of their numbers, which begin with 1."""

    items: tuple[Source, ...] = ()

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Sources:
        """Number the passages as the prompt does."""
        return cls(tuple(Source(i, passage) for i, passage in enumerate(passages, start=1)))

    def known(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Those of the numbers that stand for a passage, each once, in order."""
        return tuple(dict.fromkeys(n for n in numbers if 1 <= n <= len(self.items)))

    def numbered(self, numbers: Iterable[int]) -> tuple[Source, ...]:
        """The sources with these numbers, which must be known."""
        return tuple(self.items[number - 1] for number in numbers)

    def places_of(self, text: str, numbers: Iterable[int]) -> tuple[SourcePlace, ...]:
        """Where `text` stands word for word, as whole sentences, in the sources named.

        Whole sentences, since a part of one can say the opposite of it.
        """
        key = verbatim_key(text).rstrip(_TERMINATORS)
        if not key:
            return ()
        found = (source.place_of(key) for source in self.numbered(numbers))
        return tuple(place for place in found if place is not None)

    def place_anywhere(self, text: str) -> SourcePlace | None:
        """The first source that holds `text` word for word, as whole sentences."""
        places = self.places_of(text, range(1, len(self.items) + 1))
        return places[0] if places else None
