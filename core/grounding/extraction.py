"""The extractive answer: one to three sentences of the passages, word for word, or a refusal.

Three steps, so that an embedder can be asked between them: `rank` the candidate sentences, by
their likeness to the question where that is known; look at the best more closely (`Likenesses`,
see answerability); `choose` what to show. `extract` does all three without an embedder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.grounding.answerability import Likenesses, answerable_log_odds
from core.grounding.candidates import Candidate, candidates
from core.grounding.evidence import Scored, ranked
from core.grounding.markers import parse_markers, strip_markers
from core.grounding.questions import Question, analyse
from core.grounding.sources import Sources
from core.grounding.spoken import leads_on, leans_on_predecessor
from core.knowledge import Passage
from core.text.sentences import SentenceKind, sentences

_SAME_SHARE = 0.8
"""Of their terms together that two sentences share, to count as one said twice."""
PASSAGES = 5
"""How many passages are looked at; the weights were fitted with so many."""


@dataclass(frozen=True, slots=True)
class ExtractionPolicy:
    """How much is shown, and when nothing is.

    Sentences are added until their share of the evidence reaches `enough`, at most
    `max_sentences` (a list that the last one leads to counts as one with it, up to `max_items`
    items). Below `refuse_below` log-odds of an answer the question is refused; lower refuses
    less. The default refuses about one in ten answerable questions of our cases, and two in
    three whose passage is not there.
    """

    max_sentences: int = 3
    max_items: int = 6
    enough: float = 0.75
    refuse_below: float = -1.25


@dataclass(frozen=True, slots=True)
class Quotation:
    """A sentence to show: its text in one line, the passage's number, its place in the chunk."""

    number: int
    text: str
    start: int
    end: int
    kind: SentenceKind
    follows: bool
    """It stands directly behind the quotation before it in the same passage."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The analysed question and its candidate sentences, best first."""

    question: Question
    passages: tuple[Passage, ...]
    scored: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer: quotations in reading order, none if refused; `log_odds` of an answer."""

    quotations: tuple[Quotation, ...]
    log_odds: float

    @property
    def refused(self) -> bool:
        """Whether the passages don't answer the question."""
        return not self.quotations


def rank(
    question: str, passages: Sequence[Passage], likeness: Sequence[float] | None = None
) -> Ranking:
    """Order the candidate sentences of the first PASSAGES passages.

    `likeness` has one value for each of `candidate_sentences(passages[:PASSAGES])`, in order: a
    cosine on its embedder's scale (see scales).
    """
    asked, looked_at = analyse(question), tuple(passages[:PASSAGES])
    return Ranking(asked, looked_at, ranked(asked, candidates(looked_at, likeness)))


def choose(
    ranking: Ranking, policy: ExtractionPolicy, likenesses: Likenesses | None = None
) -> Extraction:
    """What to show of a ranking: nothing where the odds of an answer are too low."""
    odds = answerable_log_odds(ranking.question, ranking.scored, ranking.passages, likenesses)
    if odds < policy.refuse_below:
        return Extraction((), odds)
    chosen = _chosen(ranking, policy)
    return Extraction(tuple(_in_reading_order(chosen)), odds)


def extract(
    question: str, passages: Sequence[Passage], policy: ExtractionPolicy | None = None
) -> Extraction:
    """The extractive answer by words alone."""
    return choose(rank(question, passages), policy or ExtractionPolicy())


def shares(ranking: Ranking) -> list[float]:
    """How the evidence is spread over the candidates, best first; sums to 1 (softmax)."""
    if not ranking.scored:
        return []
    best = ranking.scored[0].score
    powers = [math.exp(scored.score - best) for scored in ranking.scored]
    return [power / sum(powers) for power in powers]


def _chosen(ranking: Ranking, policy: ExtractionPolicy) -> list[Candidate]:
    """The best sentences, each with the one that it leans on and the list that it leads to."""
    places = {(c.number, c.index): c for c in (scored.candidate for scored in ranking.scored)}
    sources = Sources.of(ranking.passages)
    chosen: dict[tuple[int, int], Candidate] = {}
    covered, sentences_shown = 0.0, 0
    for scored, share in zip(ranking.scored, shares(ranking), strict=True):
        if sentences_shown >= policy.max_sentences or (covered >= policy.enough and chosen):
            break
        covered += share
        if any(_says_the_same(scored.candidate, each) for each in chosen.values()):
            continue
        room = policy.max_sentences - sentences_shown
        group = _with_context(scored.candidate, places, room, policy.max_items)
        quotable = [each for each in group if _is_quotable(each, sources)]
        if scored.candidate not in quotable:
            continue
        fresh = [each for each in quotable if (each.number, each.index) not in chosen]
        chosen.update({(each.number, each.index): each for each in fresh})
        sentences_shown += sum(each.sentence.kind is not SentenceKind.LIST_ITEM for each in fresh)
        sentences_shown += scored.candidate.sentence.kind is SentenceKind.LIST_ITEM
    return list(chosen.values())


def _with_context(
    best: Candidate, places: dict[tuple[int, int], Candidate], room: int, max_items: int
) -> list[Candidate]:
    group = [best]
    before = places.get((best.number, best.index - 1))
    if room > 1 and before is not None and leans_on_predecessor(best.sentence.text):
        group.insert(0, before)
    if leads_on(best.sentence.text):
        group += _list_after(best, places, max_items)
    return group


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    shared = len(one.own & other.own)
    return shared >= _SAME_SHARE * max(len(one.own | other.own), 1)


def _list_after(
    lead: Candidate, places: dict[tuple[int, int], Candidate], max_items: int
) -> Iterator[Candidate]:
    for index in range(lead.index + 1, lead.index + 1 + max_items):
        item = places.get((lead.number, index))
        if item is None or item.sentence.kind not in (SentenceKind.LIST_ITEM, SentenceKind.CODE):
            return
        yield item


def _is_quotable(candidate: Candidate, sources: Sources) -> bool:
    """Whether the sentence, shown by itself, is found again in its source by the checks."""
    shown = shown_text(candidate)
    parsed = parse_markers(f"{shown} [{candidate.number}]")
    pieces = sentences(shown)
    return (
        len(parsed.markers) == 1 == len(pieces)
        and parsed.text == shown
        and all(sources.places_of(piece.text, (candidate.number,)) for piece in pieces)
    )


def shown_text(candidate: Candidate) -> str:
    """The sentence in one line, without reference numbers of its own; code in backticks."""
    text = strip_markers(" ".join(candidate.sentence.text.split()))
    if text.count("`") % 2:  # what follows would be read as code, and our marker with it
        text = text.replace("`", "")
    return f"`{text}`" if candidate.sentence.kind is SentenceKind.CODE else text


def _in_reading_order(chosen: Sequence[Candidate]) -> Iterator[Quotation]:
    """Passages by rank of their first mention, sentences as they stand there."""
    order = {number: place for place, number in enumerate(dict.fromkeys(c.number for c in chosen))}
    last: Candidate | None = None
    for each in sorted(chosen, key=lambda c: (order[c.number], c.index)):
        follows = last is not None and last.number == each.number and last.index + 1 == each.index
        sentence = each.sentence
        yield Quotation(
            each.number, shown_text(each), sentence.start, sentence.end, sentence.kind, follows
        )
        last = each
