"""The passages of an answer, made ready to look sentences up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.grounding.citations import SourcePlace
from core.text.normal import normal_text, verbatim_key
from core.text.sentences import Sentence, sentences
from core.text.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.knowledge import Passage

_TERMINATORS = ".!?;:,"


@dataclass(frozen=True, slots=True)
class Source:
    """One passage under its citation number.

    `text` is the normal form of all that the model saw of it, title and headings included, and
    `words` its terms; `keys` has each sentence of the chunk's own text with its verbatim key.
    """

    number: int
    passage: Passage
    text: str
    words: frozenset[str]
    keys: tuple[tuple[Sentence, str], ...]

    @classmethod
    def of(cls, number: int, passage: Passage) -> Source:
        """The passage that is cited as `number`."""
        shown = "\n".join((passage.title, *passage.chunk.heading, passage.chunk.text))
        text = normal_text(shown)
        keys = tuple((s, verbatim_key(s.text)) for s in sentences(passage.chunk.text))
        return cls(number, passage, text, frozenset(terms(text)), keys)

    def place_of(self, key: str) -> SourcePlace | None:
        """Where the words stand as one or more whole sentences. `key` ends in no full stop."""
        for first in range(len(self.keys)):
            if place := self._run_from(first, key):
                return place
        return None

    def _run_from(self, first: int, key: str) -> SourcePlace | None:
        joined = ""
        for sentence, its_key in self.keys[first:]:
            joined += its_key
            if joined.rstrip(_TERMINATORS) == key:
                return SourcePlace(self.number, self.keys[first][0].start, sentence.end)
            if not key.startswith(joined):
                return None
        return None


@dataclass(frozen=True, slots=True)
class Sources:
    """All passages of one answer, in the order of their numbers, which begin with 1."""

    items: tuple[Source, ...] = ()

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Sources:
        """Number the passages as the prompt does."""
        return cls(tuple(Source.of(i, passage) for i, passage in enumerate(passages, start=1)))

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
