"""The guard of a streamed answer: takes in what a model writes, lets out what may be shown.

A pure machine. `begin`, then `feed` each piece and `finish`; what comes back is text to send
(`Release`) or the news that the answer does not stand (`Failure`), after which nothing more comes
out: the driver stops the model, and goes on with `continued`, which it feeds the extractive
answer. `verdict` says at the end what it came to.

With OFF text is let out as it comes, without its markers; with SENTENCE each sentence once it is
checked; with FINAL all of it at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.catalog import Tier
from core.chat import Grounding
from core.grounding.checks import Fault, Finding, check_sentence
from core.grounding.citations import Citation, cite
from core.grounding.markers import Marker, MarkerStream, Parsed, feed_markers, finish_markers
from core.grounding.sources import Sources
from core.grounding.verdict import Remark, Tally, Verdict, verdict_of
from core.text.normal import verbatim_key
from core.text.sentences import Sentence, SentenceStream, feed_sentences, finish_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.knowledge import Passage


@dataclass(frozen=True, slots=True)
class Release:
    """Text to send on, and the citations of sentences that end in it or before it.

    The texts of all releases, put together, are the final text that the citations count in.
    """

    text: str = ""
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A sentence that does not pass. `released` tells whether some of the answer is out."""

    sentence: str
    fault: Fault
    detail: str
    released: bool


Guarded = Release | Failure


@dataclass(frozen=True, slots=True)
class GroundedStream:
    """The machine's state.

    `clean` is the text after the last sentence that was judged, and begins at character `base`
    of the clean text; `waiting` are the markers that belong to no sentence yet. `ready` is what
    FINAL holds back. `length` is the final text's length in bytes with what is ready;
    `shown` has the keys of the sentences in it.
    """

    sources: Sources
    tier: Tier
    mode: Grounding
    markers: MarkerStream = field(default_factory=MarkerStream)
    segments: SentenceStream = field(default_factory=SentenceStream)
    clean: str = ""
    base: int = 0
    waiting: tuple[Marker, ...] = ()
    ready: tuple[Release, ...] = ()
    length: int = 0
    shown: frozenset[str] = frozenset()
    tally: Tally = field(default_factory=Tally)
    closed: bool = False

    @property
    def anything_out(self) -> bool:
        """Whether the client has seen some of the answer."""
        if self.mode is Grounding.FINAL and not self.closed:
            return False
        return self.length > 0 or (self.mode is Grounding.OFF and bool(self.clean))


def begin(passages: Sequence[Passage], tier: Tier, mode: Grounding) -> GroundedStream:
    """A guard for an answer that may cite these passages, in the order of their numbers."""
    return GroundedStream(Sources.of(passages), tier, mode)


def feed(state: GroundedStream, text: str) -> tuple[GroundedStream, tuple[Guarded, ...]]:
    """Take in more of what the model writes."""
    if state.closed:
        return state, ()
    markers, parsed = feed_markers(state.markers, text)
    segments, complete = feed_sentences(state.segments, parsed.text)
    state = _received(replace(state, markers=markers, segments=segments), parsed)
    return _take(state, complete, parsed.text, last=False)


def finish(
    state: GroundedStream, *, cut: bool = False
) -> tuple[GroundedStream, tuple[Guarded, ...]]:
    """The model has ended. With `cut` it was stopped in mid-sentence, which is left out."""
    if state.closed:
        return state, ()
    parsed = finish_markers(state.markers)
    segments, complete = feed_sentences(state.segments, parsed.text)
    complete += finish_sentences(segments)
    if cut and state.mode is not Grounding.OFF and not _ends_well(complete):
        state = replace(state, tally=replace(state.tally, left_out=1))
        complete = complete[:-1]
    state, out = _take(_received(state, parsed), complete, parsed.text, last=True)
    return (state, out) if state.closed else _close(state, out, tail=not cut)


def refuse(state: GroundedStream, text: str) -> tuple[GroundedStream, tuple[Guarded, ...]]:
    """The model declines in these words: they go out unchecked, unless an answer already is.

    They may come in pieces.
    """
    going_on = state.closed and state.tally.refused
    if not going_on and (state.closed or state.anything_out):
        return state, ()
    length = len(text.encode()) + (state.length if going_on else 0)
    tally = replace(state.tally, refused=True)
    return replace(state, tally=tally, length=length, closed=True), (Release(text),)


def continued(state: GroundedStream) -> GroundedStream:
    """A guard for the extractive answer that goes on where a failed one stopped.

    What was released stays, and a sentence that was shown already is not shown twice.
    """
    kept = state.length > 0
    gap = "\n\n" if kept else ""
    segments, _ = feed_sentences(SentenceStream(), gap)
    return replace(
        begin((), Tier.EXTRACTIVE, state.mode),
        sources=state.sources,
        markers=MarkerStream(length=len(gap)),
        segments=segments,
        clean=gap,
        length=state.length,
        shown=state.shown,
        tally=replace(state.tally, replaced=True),
    )


def verdict(state: GroundedStream) -> Verdict:
    """What the answer came to, once it has ended."""
    extractive = state.tier is Tier.EXTRACTIVE and not state.tally.replaced
    return verdict_of(state.tally, extractive=extractive)


def _received(state: GroundedStream, parsed: Parsed) -> GroundedStream:
    return replace(state, clean=state.clean + parsed.text, waiting=state.waiting + parsed.markers)


def _ends_well(complete: Sequence[Sentence]) -> bool:
    return not complete or complete[-1].text.endswith((".", "!", "?", "。", "！", "？"))


def _take(
    state: GroundedStream, complete: Sequence[Sentence], fresh: str, *, last: bool
) -> tuple[GroundedStream, tuple[Guarded, ...]]:
    """Judge the sentences that are complete now."""
    out: list[Guarded] = [Release(fresh)] if state.mode is Grounding.OFF and fresh else []
    for index, sentence in enumerate(complete):
        state, judged = _judge(state, sentence, is_last=last and index == len(complete) - 1)
        if isinstance(judged, Failure):
            return _failed(state, judged), (*out, judged)
        if state.mode is Grounding.FINAL:
            state = replace(state, ready=(*state.ready, judged))
        elif judged != Release():
            out.append(judged)
        if state.tally.refused:
            return _close(state, tuple(out), tail=False)
    return state, tuple(out)


def _failed(state: GroundedStream, failure: Failure) -> GroundedStream:
    """Nothing more goes out; what FINAL held back is forgotten."""
    remark = Remark(failure.fault.value, failure.detail)
    tally = replace(state.tally, failure=remark)
    if state.mode is Grounding.FINAL:
        tally = replace(tally, shown=0)
        state = replace(state, ready=(), length=0, shown=frozenset())
    return replace(state, tally=tally, closed=True)


def _judge(
    state: GroundedStream, sentence: Sentence, *, is_last: bool
) -> tuple[GroundedStream, Release | Failure]:
    state, numbers = _claimed_numbers(state, sentence, is_last=is_last)
    known = state.sources.known(numbers)
    finding = _find(state, sentence, known)
    if finding.fault is not None:
        out = state.anything_out
        return state, Failure(sentence.text, finding.fault, finding.detail, released=out)
    tally = replace(
        state.tally,
        repaired=state.tally.repaired + finding.repaired,
        unknown_citations=state.tally.unknown_citations + len(set(numbers)) - len(known),
    )
    return _pass(replace(state, tally=tally), sentence, finding)


def _find(state: GroundedStream, sentence: Sentence, known: tuple[int, ...]) -> Finding:
    if state.mode is Grounding.OFF:
        return Finding(known, state.sources.places_of(sentence.text, known))
    return check_sentence(sentence, known, state.sources, state.tier)


def _claimed_numbers(
    state: GroundedStream, sentence: Sentence, *, is_last: bool
) -> tuple[GroundedStream, tuple[int, ...]]:
    """The numbers of the markers that belong to the sentence; they wait no longer.

    A marker belongs to the sentence that it stands in or follows; one that leads its line to
    the sentence after it.
    """
    rest = state.clean[sentence.end - state.base :]
    gap_end = sentence.end + len(rest) - len(rest.lstrip())
    mine = [
        marker
        for marker in state.waiting
        if is_last or (marker.at < sentence.end if marker.leads else marker.at <= gap_end)
    ]
    waiting = tuple(marker for marker in state.waiting if marker not in mine)
    numbers = tuple(dict.fromkeys(n for marker in mine for n in marker.numbers))
    return replace(state, waiting=waiting), numbers


def _pass(
    state: GroundedStream, sentence: Sentence, finding: Finding
) -> tuple[GroundedStream, Release]:
    """Let the sentence out, with the text before it that belongs to none."""
    upto = sentence.end - state.base
    text, rest = state.clean[:upto], state.clean[upto:]
    state = replace(state, clean=rest, base=sentence.end)
    key = verbatim_key(sentence.text)
    if finding.refusal and state.shown:
        tally = replace(state.tally, left_out=state.tally.left_out + 1)
        return replace(state, tally=tally), Release()
    if state.tally.replaced and key in state.shown:
        return state, Release()
    start = state.length + len(text.encode()) - len(sentence.text.encode())
    state = replace(state, length=state.length + len(text.encode()))
    state = _counted(state, key, finding)
    citations = _citations(state.sources, sentence, finding, start)
    return state, Release("" if state.mode is Grounding.OFF else text, citations)


def _counted(state: GroundedStream, key: str, finding: Finding) -> GroundedStream:
    tally = state.tally
    if finding.refusal:
        return replace(state, tally=replace(tally, refused=True))
    extracted = tally.extracted + int(tally.replaced)
    tally = replace(tally, shown=tally.shown + 1, extracted=extracted)
    return replace(state, tally=tally, shown=state.shown | {key})


def _citations(
    sources: Sources, sentence: Sentence, finding: Finding, start: int
) -> tuple[Citation, ...]:
    places = {place.number: place for place in finding.places}
    return tuple(
        cite(sources.items[n - 1].passage, n, start, sentence.text, places.get(n))
        for n in finding.numbers
    )


def _close(
    state: GroundedStream, out: tuple[Guarded, ...], *, tail: bool
) -> tuple[GroundedStream, tuple[Guarded, ...]]:
    """Let out what FINAL held back and, with `tail`, what follows the last sentence."""
    checked = state.mode is not Grounding.OFF
    if checked and not (state.tally.shown or state.tally.refused):
        failure = Failure("", Fault.EMPTY, "the model wrote nothing", released=False)
        return _failed(state, failure), (*out, failure)
    rest = state.clean.rstrip() if tail and checked else ""
    ending = (Release(rest),) if rest else ()
    state = replace(state, length=state.length + len(rest.encode()), closed=True)
    return replace(state, ready=()), (*state.ready, *out, *ending)
