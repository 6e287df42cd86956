"""The sentences that may answer a question, each with what stands around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.grounding.questions import Question, content_terms
from core.knowledge import Passage
from core.text.sentences import Sentence, SentenceKind, sentences
from core.text.terms import terms

_SINGLE_CHARACTER_WEIGHT = 0.5
_FIRST_CJK = "\u2e80"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage. `number` is the passage's citation number, `index` its place there.

    `sequence` are its terms in order, `own` the same as a set, `near` those of the sentence
    before it, the title and the headings, `passage_terms` all of the passage. `relative` is the
    passage's score by the best one's. `cosine` is its likeness to the question, None if unknown.
    """

    number: int
    index: int
    sentence: Sentence
    sequence: tuple[str, ...]
    own: frozenset[str]
    near: frozenset[str]
    passage_terms: frozenset[str]
    relative: float
    cosine: float | None = None


def candidate_sentences(passages: Sequence[Passage]) -> tuple[tuple[int, Sentence], ...]:
    """Every sentence that could be quoted, with its passage's number, in order."""
    return tuple(
        (number, sentence)
        for number, passage in enumerate(passages, start=1)
        for sentence in sentences(passage.chunk.text)
        if sentence.kind is not SentenceKind.HEADING
    )


def candidates(
    passages: Sequence[Passage], cosines: Sequence[float] | None = None
) -> tuple[Candidate, ...]:
    """The candidates of these passages. `cosines` has one value a candidate sentence, in order."""
    found = candidate_sentences(passages)
    known = list(cosines) if cosines is not None else [None] * len(found)
    sequences = [tuple(terms(sentence.text)) for _, sentence in found]
    titles = [_title_terms(passage) for passage in passages]
    whole = [set(title) for title in titles]
    for (number, _), sequence in zip(found, sequences, strict=True):
        whole[number - 1].update(sequence)
    return tuple(
        Candidate(
            number,
            _index(found, position),
            sentence,
            sequences[position],
            frozenset(sequences[position]),
            titles[number - 1] | _before(found, sequences, position),
            frozenset(whole[number - 1]),
            _relative(passages, number),
            known[position],
        )
        for position, (number, sentence) in enumerate(found)
    )


def term_weights(question: Question, found: Sequence[Candidate]) -> dict[str, float]:
    """How much each of the question's terms tells: its inverse document frequency (BM25's).

    A document is a sentence here. A single Han character tells less than the pair it is in.
    """
    weights: dict[str, float] = {}
    for term in question.terms:
        holders = sum(term in candidate.own for candidate in found)
        weight = math.log(1 + (len(found) - holders + 0.5) / (holders + 0.5))
        single = len(term) == 1 and term >= _FIRST_CJK
        weights[term] = weight * (_SINGLE_CHARACTER_WEIGHT if single else 1)
    return weights


def _title_terms(passage: Passage) -> frozenset[str]:
    return frozenset(content_terms(" \n ".join((passage.title, *passage.chunk.heading))))


def _relative(passages: Sequence[Passage], number: int) -> float:
    """The passage's score as a share of the best; by rank where scores say nothing."""
    best = max(passage.score for passage in passages)
    return max(0.0, passages[number - 1].score / best) if best > 0 else 1.0 / number


def _index(found: Sequence[tuple[int, Sentence]], position: int) -> int:
    number = found[position][0]
    first = position
    while first and found[first - 1][0] == number:
        first -= 1
    return position - first


def _before(
    found: Sequence[tuple[int, Sentence]], sequences: Sequence[tuple[str, ...]], position: int
) -> frozenset[str]:
    if position and found[position - 1][0] == found[position][0]:
        return frozenset(sequences[position - 1])
    return frozenset()
