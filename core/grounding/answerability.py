"""Whether the documents answer the question at all: what speaks for and against, as log-odds.

What speaks against: words of the question that the best sentence and its surroundings lack,
names and numbers that the passage lacks, a word whose opposite stands there, no answer of the
kind that is asked for. And words that, left out of the question, would bring it *nearer* to the
sentence: they ask for something else (occlusion, after Zeiler and Fergus 2014).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.grounding.candidates import Candidate, term_weights
from core.grounding.evidence import Scored
from core.grounding.questions import Question, content_spans, content_terms, is_negated
from core.grounding.weights import ANSWERABLE_BY_WORDS, ANSWERABLE_WITH_VECTORS
from core.knowledge import Passage
from core.text.function_words import FUNCTION_WORDS
from core.text.opposites import OPPOSITES
from core.text.terms import terms

OCCLUDED_AGAINST = 3
"""How many of the best sentences the shortened questions are compared with."""
_WIDEST_MARGIN = 3.0
_WORD = re.compile(r"[^\W\d_\u2e80-\uffff]{3,}")


@dataclass(frozen=True, slots=True)
class Likenesses:
    """What an embedder says of a question beyond its likeness to each sentence.

    `occluded`: for each of `shortened_questions`, its likeness to each of the best sentences,
    in order. `words`: for each of `question_words`, the cosine of each of `surrounding_words`
    to it, after the mean of all these words' vectors has been taken off.
    """

    occluded: Sequence[Sequence[float]] = ()
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def question_words(text: str) -> tuple[str, ...]:
    """The question's content words as they are written, lower-cased; none in Chinese."""
    return tuple(word for word in _content_words(text) if content_terms(word))


def surrounding_words(best: Scored, passages: Sequence[Passage]) -> tuple[str, ...]:
    """The words of the best sentence, the text before it, the title and the headings."""
    passage = passages[best.candidate.number - 1]
    start = best.candidate.sentence.start
    before = passage.chunk.text[max(0, start - 300) : start]
    parts = (best.candidate.sentence.text, before, passage.title, *passage.chunk.heading)
    return _content_words(" ".join(parts))


def _content_words(text: str) -> tuple[str, ...]:
    found = (match.group().lower() for match in _WORD.finditer(text))
    return tuple(dict.fromkeys(word for word in found if word not in FUNCTION_WORDS))


def shortened_questions(text: str) -> tuple[str, ...]:
    """The question without each of its content words in turn."""
    return tuple(
        re.sub(r"  +", " ", text[:start] + text[end:]) for start, end in content_spans(text)
    )


def answerable_log_odds(
    question: Question,
    ranking: Sequence[Scored],
    passages: Sequence[Passage],
    likenesses: Likenesses | None = None,
) -> float:
    """The log-odds that the best sentence answers the question; -inf without any sentence.

    By words alone it is -inf as well where not one of the question's is near the sentence.

    A logistic regression; the note at its weights says what it was fitted on.
    """
    if not ranking:
        return -math.inf
    with_vectors = likenesses is not None and ranking[0].candidate.cosine is not None
    if not with_vectors and not _shares_a_word(ranking[0]):
        return -math.inf
    table = ANSWERABLE_WITH_VECTORS if with_vectors else ANSWERABLE_BY_WORDS
    features = answerability_features(question, ranking, passages, likenesses or Likenesses())
    return sum(weight * features[name] for name, weight in table.items())


def answerability_features(
    question: Question,
    ranking: Sequence[Scored],
    passages: Sequence[Passage],
    likenesses: Likenesses,
) -> dict[str, float]:
    """All that is weighed, by name; `one` is the constant."""
    best = ranking[0]
    text = best.candidate.sentence.text
    passage = passages[best.candidate.number - 1]
    whole = " ".join((passage.title, *passage.chunk.heading, passage.chunk.text))
    cosines = [scored.features["cosine"] for scored in ranking]
    margin = best.score - ranking[1].score if len(ranking) > 1 else _WIDEST_MARGIN
    return {
        "one": 1.0,
        "score": best.score,
        "margin": min(margin, _WIDEST_MARGIN),
        "covered": best.features["covered"],
        "gap": _gap(question, ranking),
        "fit": best.features["fit"],
        "best_cosine": max(cosines),
        "missing_names": _missing(question.names, whole),
        "missing_numbers": _missing(question.numbers, whole),
        "opposite": float(_says_the_opposite(question, best.candidate)),
        "negation": float(question.negated and not is_negated(text)),
        **_occlusion(cosines[:OCCLUDED_AGAINST], likenesses.occluded),
        **_word_likeness(question, ranking, likenesses.words),
    }


def _shares_a_word(best: Scored) -> bool:
    return best.features["covered"] + best.features["nearby"] > 0


def _gap(question: Question, ranking: Sequence[Scored]) -> float:
    """The weight of the heaviest word that the best sentence and its surroundings lack."""
    around = ranking[0].candidate.own | ranking[0].candidate.near
    weights = term_weights(question, [scored.candidate for scored in ranking])
    gaps = [0.0]
    for start, end in content_spans(question.text):
        its_terms = content_terms(question.text[start:end])
        weight = max((weights.get(term, 0.0) for term in its_terms), default=0.0)
        lacking = sum(term not in around for term in its_terms) / (len(its_terms) or 1)
        gaps.append(weight * lacking)
    return max(gaps)


def _word_likeness(
    question: Question, ranking: Sequence[Scored], words: Mapping[str, Mapping[str, float]]
) -> Mapping[str, float]:
    """How like the question's words are to what stands around: weighted mean, gap and least."""
    asked = question_words(question.text)
    if not asked or not words:
        return {"like_mean": 1.0, "like_gap": 0.0, "like_least": 1.0}
    around = ranking[0].candidate.own | ranking[0].candidate.near
    weights = term_weights(question, [scored.candidate for scored in ranking])
    likes, heavy = [], []
    for word in asked:
        its_terms = content_terms(word)
        held = not around.isdisjoint(its_terms)
        likes.append(1.0 if held else max(words.get(word, {}).values(), default=0.0))
        heavy.append(max((weights.get(term, 0.0) for term in its_terms), default=0.0))
    weighted = list(zip(likes, heavy, strict=True))
    return {
        "like_mean": sum(like * weight for like, weight in weighted) / (sum(heavy) or 1.0),
        "like_gap": max(weight * (1 - like) for like, weight in weighted),
        "like_least": min(likes),
    }


def _occlusion(
    cosines: Sequence[float], occluded: Sequence[Sequence[float]]
) -> Mapping[str, float]:
    """What the question's words add to its likeness.

    To the best sentence on the mean, and the least that one adds to the likest of the best.
    """
    if not occluded:
        return {"word_mean": 0.0, "word_least": 0.0}
    return {
        "word_mean": sum(cosines[0] - each[0] for each in occluded) / len(occluded),
        "word_least": min(max(cosines) - max(each) for each in occluded),
    }


def _missing(wanted: frozenset[str], text: str) -> float:
    """The share of names or numbers that the text lacks; 0 if none are wanted."""
    if not wanted:
        return 0.0
    folded = text.casefold()
    return sum(name.casefold() not in folded for name in wanted) / len(wanted)


def _says_the_opposite(question: Question, candidate: Candidate) -> bool:
    around = candidate.own | candidate.near
    return any(
        OPPOSITES[term] & candidate.own
        for term in terms(question.text)
        if term in OPPOSITES and term not in around
    )
