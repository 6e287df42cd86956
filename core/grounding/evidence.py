"""How well each candidate sentence answers: its features, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.grounding.answers import answer_fit
from core.grounding.candidates import Candidate, term_weights
from core.grounding.questions import Question
from core.grounding.weights import RANKING_BY_WORDS, RANKING_WITH_COSINES
from core.text.sentences import SentenceKind

_KIND_PENALTY = {SentenceKind.CODE: 1.0, SentenceKind.TABLE_ROW: 0.5}
"""Code and tables answer, but seldom as a sentence does. Set by hand: the cases have no code."""
_MOST_FRESH_TERMS = 12


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score, a log-odds up to a constant of the question."""

    candidate: Candidate
    score: float
    features: Mapping[str, float]


def ranked(question: Question, found: Sequence[Candidate]) -> tuple[Scored, ...]:
    """The candidates, best first; of equals the one that stands first."""
    weights = term_weights(question, found)
    with_cosines = all(candidate.cosine is not None for candidate in found)
    table = RANKING_WITH_COSINES if with_cosines else RANKING_BY_WORDS
    scored = []
    for candidate in found:
        features = ranking_features(question, candidate, weights)
        score = sum(table[name] * features[name] for name in table)
        score -= _KIND_PENALTY.get(candidate.sentence.kind, 0.0)
        scored.append(Scored(candidate, score, features))
    return tuple(sorted(scored, key=lambda each: -each.score))


def ranking_features(
    question: Question, candidate: Candidate, weights: Mapping[str, float]
) -> dict[str, float]:
    """What is known of a candidate.

    `covered`: the share of the question's term weight in the sentence itself; `nearby`: what
    the sentence before, the title and the headings add. `fit`: an answer of the right kind.
    `fresh`: how much it says beyond the question. `relative`: the passage's score. `cosine`:
    as given, 0 if unknown.
    """
    total = sum(weights.values()) or 1.0
    own, near = candidate.own, candidate.near
    covered = sum(w for t, w in weights.items() if t in own)
    nearby = sum(w for t, w in weights.items() if t in near and t not in own)
    fresh = len(own - set(question.terms))
    return {
        "covered": covered / total,
        "nearby": nearby / total,
        "fit": answer_fit(question, candidate.sentence.text),
        "fresh": min(fresh, _MOST_FRESH_TERMS) / _MOST_FRESH_TERMS,
        "relative": candidate.relative,
        "cosine": candidate.cosine or 0.0,
    }
