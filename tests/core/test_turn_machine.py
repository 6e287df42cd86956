"""The run as a machine: whatever a model says, in whatever pieces, what comes out holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog import Deployment, Tier
from core.chat import Grounding
from core.generation import ReasoningDelta, RefusalDelta, StopCause, TextDelta, TokenUsage
from core.grounding.refusals import is_refusal, refusal_text
from core.grounding.sources import Sources
from core.grounding.verdict import AnsweredBy, VerdictStatus
from core.identifiers import ChunkId, CollectionName, DeploymentName, DocumentId, TurnId
from core.knowledge import Chunk, Passage
from core.ports.model_gateway import Completed, GatewayEvent, Restarted, Selected, Switched
from core.text.sentences import sentences
from core.turns.events import Cited, Reasoning, Retracted, Started, Text, TurnEvent, Validated
from core.turns.machine import (
    Ask,
    Effect,
    Emit,
    End,
    Found,
    Hush,
    QuotingFailed,
    RunState,
    Search,
    advance,
    begin,
)
from core.turns.rows import EndReason
from core.turns.transcript import Transcript

STARTED = Started(TurnId("t"), 1, "chat@1", "")
FACTS = (
    "The lift carries 8 people.",
    "It is inspected every 6 months.",
    "渡船每天六点开航。",
    "The ferry leaves at 6:00 🚢 from pier 2.",
)
GOOD = (*(f"{fact} [1]" for fact in FACTS[:2]), *(f"{fact} [2]" for fact in FACTS[2:]))
BAD = (
    "The lift carries 9 people. [1]",
    "It flies to the moon.",
    "Mr. Smith built it. [2]",
    "“It was never inspected.” [1]",
    "The documents do not answer this question.",
    "",
    "[7]",
    "```\ncode\n```\n",
)


def _passage(number: int, text: str) -> Passage:
    chunk = Chunk(ChunkId(f"c{number}"), DocumentId("d"), 0, text, 0, len(text))
    return Passage(chunk, CollectionName("docs"), "", "", 1.0)


PASSAGES = (_passage(1, " ".join(FACTS[:2])), _passage(2, " ".join(FACTS[2:])))
SOURCES = Sources.of(PASSAGES)


@dataclass
class Story:
    """One run as it was driven: its effects in the order of their performance."""

    state: RunState
    effects: list[Effect]

    @property
    def events(self) -> list[TurnEvent]:
        return [effect.event for effect in self.effects if isinstance(effect, Emit)]

    @property
    def seen(self) -> Transcript:
        return Transcript.of(self.events)

    def count(self, kind: type[Effect]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    @property
    def reason(self) -> EndReason:
        (end,) = (effect for effect in self.effects if isinstance(effect, End))
        return end.reason


def _deployment(tier: Tier) -> Deployment:
    return Deployment(DeploymentName(tier.name), "m", "p", tier, 1000, 100)


def said(
    tier: Tier, pieces: Sequence[object], cause: StopCause = StopCause.STOP
) -> list[GatewayEvent]:
    """A model's whole answer as the gateway passes it on."""
    events = [TextDelta(piece) if isinstance(piece, str) else piece for piece in pieces]
    ended = Completed(cause, _deployment(tier), 1, TokenUsage(1, 1), False, Decimal(0), "USD")
    return [Selected(_deployment(tier), 1, 1), *events, ended]  # type: ignore[list-item]


def drive(
    models: Sequence[Sequence[GatewayEvent] | None],
    *,
    grounded: bool = True,
    grounding: Grounding = Grounding.SENTENCE,
    language: str = "en",
) -> Story:
    """Perform a run as the service does. `models` speak in turn; None cannot be asked."""
    state, first = begin(STARTED, grounded=grounded, grounding=grounding, language=language)
    story = Story(state, [])
    pending, speakers = list(first), iter(models)
    while pending:
        effect = pending.pop(0)
        story.effects.append(effect)
        if isinstance(effect, Search):
            state, more = advance(state, Found(PASSAGES))
            pending.extend(more)
        elif isinstance(effect, Ask):
            state, rest = _listen(story, state, next(speakers))
            pending.extend(rest)
    story.state = state
    return story


def _listen(
    story: Story, state: RunState, speaker: Sequence[GatewayEvent] | None
) -> tuple[RunState, Sequence[Effect]]:
    """Take in what one model says until something other than an event is to be done."""
    if speaker is None:
        return advance(state, QuotingFailed())
    for happening in speaker:
        state, effects = advance(state, happening)
        emits = next((i for i, e in enumerate(effects) if not isinstance(e, Emit)), len(effects))
        story.effects.extend(effects[:emits])
        if effects[emits:]:
            return state, effects[emits:]
    raise AssertionError("a model that has ended leaves nothing to be done")


def _cut(text: str, places: Sequence[int]) -> Iterator[str]:
    """The text in pieces, also within sentences and markers."""
    bounds = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    for start, end in itertools.pairwise(bounds):
        yield text[start:end]


@st.composite
def answers(draw: st.DrawFn, of: Sequence[str] = GOOD + BAD) -> list[object]:
    """What a model may say: sentences good and bad, in pieces, with thoughts and refusals."""
    text = draw(st.sampled_from([" ", "\n\n", ""])).join(
        draw(st.lists(st.sampled_from(of), max_size=5))
    )
    pieces: list[object] = list(_cut(text, draw(st.lists(st.integers(0, 400), max_size=12))))
    extra = st.sampled_from([ReasoningDelta("hm"), RefusalDelta("I won't."), TextDelta("")])
    for one in draw(st.lists(extra, max_size=2)):
        pieces.insert(draw(st.integers(0, len(pieces))), one)
    return pieces


tiers = st.sampled_from([Tier.TINY, Tier.SMALL, Tier.STRONG])
causes = st.sampled_from(StopCause)
groundings = st.sampled_from([Grounding.SENTENCE, Grounding.FINAL])
quoters = st.one_of(
    st.none(),
    answers().map(lambda pieces: said(Tier.EXTRACTIVE, pieces)),
    answers(GOOD).map(lambda pieces: said(Tier.EXTRACTIVE, pieces)),
)


@given(answers(), tiers, causes, groundings, quoters)
def test_a_run_ends_once_whatever_is_said(
    pieces: list[object],
    tier: Tier,
    cause: StopCause,
    grounding: Grounding,
    quoter: Sequence[GatewayEvent] | None,
) -> None:
    story = drive([said(tier, pieces, cause), quoter], grounding=grounding)
    assert story.count(End) == 1
    assert isinstance(story.effects[-1], End)
    assert sum(isinstance(event, Validated) for event in story.events) == 1
    assert sum(isinstance(e, Ask) and e.only_extractive for e in story.effects) <= 1
    assert story.count(Hush) <= 2
    assert story.state.ended


@given(answers(), tiers, causes, groundings, quoters)
def test_no_text_leaves_that_was_not_checked(
    pieces: list[object],
    tier: Tier,
    cause: StopCause,
    grounding: Grounding,
    quoter: Sequence[GatewayEvent] | None,
) -> None:
    """Behind a tiny model every sentence that is shown stands in the sources, or refuses."""
    story = drive([said(Tier.TINY, pieces, cause), quoter], grounding=grounding)
    for sentence in sentences(story.seen.text.replace("I won't.", "")):
        held = SOURCES.place_anywhere(sentence.text) is not None
        assert held or is_refusal(sentence.text), story.seen.text


@given(answers(), tiers, groundings, quoters)
def test_citations_point_into_the_text(
    pieces: list[object],
    tier: Tier,
    grounding: Grounding,
    quoter: Sequence[GatewayEvent] | None,
) -> None:
    story = drive([said(tier, pieces), quoter], grounding=grounding)
    text = story.seen.text.encode()
    for citation in story.seen.citations:
        assert text[citation.start_byte : citation.end_byte].decode() == citation.cited_text
        source = PASSAGES[citation.number - 1].chunk.text
        assert citation.quote in source


@given(answers(), tiers, groundings, quoters)
def test_after_a_replacement_only_sources_are_quoted(
    pieces: list[object],
    tier: Tier,
    grounding: Grounding,
    quoter: Sequence[GatewayEvent] | None,
) -> None:
    story = drive([said(tier, pieces), quoter], grounding=grounding)
    if not any(isinstance(e, Ask) and e.only_extractive for e in story.effects):
        return
    asked = story.effects.index(Ask(only_extractive=True))
    later = [
        e.event.text
        for e in story.effects[asked:]
        if isinstance(e, Emit) and isinstance(e.event, Text)
    ]
    for sentence in sentences("".join(later).replace("I won't.", "")):
        assert SOURCES.place_anywhere(sentence.text) or is_refusal(sentence.text)
    assert story.seen.text
    verdict = story.seen.verdict
    assert verdict is not None
    assert verdict.status is not VerdictStatus.PASS


@given(answers(), st.lists(answers(), max_size=3), groundings)
def test_nothing_follows_the_end(
    pieces: list[object], more: list[list[object]], grounding: Grounding
) -> None:
    ended = drive([said(Tier.TINY, pieces), None], grounding=grounding).state
    for late in more:
        for happening in said(Tier.STRONG, late):
            state, effects = advance(ended, happening)
            assert (state, effects) == (ended, ())


@given(st.lists(st.text(max_size=20), max_size=8), causes)
def test_a_free_answer_is_passed_on_as_it_comes(pieces: list[str], cause: StopCause) -> None:
    story = drive([said(Tier.TINY, pieces, cause)], grounded=False, grounding=Grounding.OFF)
    assert story.seen.text == "".join(pieces)
    assert story.seen.verdict is None
    assert all(event.text for event in story.events if isinstance(event, Text))
    assert story.count(End) == 1


@given(
    st.builds(RunState, st.booleans(), groundings, st.just("en"), silent=st.booleans()), st.text()
)
def test_a_free_state_does_nothing_with_text_but_emit_it(state: RunState, text: str) -> None:
    for each in (state, replace(state, ended=True)):
        happened = advance(each, TextDelta(text))
        if each.is_free:
            assert happened == (each, (Emit(Text(text)),) if text else ())
        else:
            assert happened == (each, ())


@given(st.lists(st.sampled_from(GOOD), min_size=1, max_size=5, unique=True), tiers)
def test_a_good_answer_passes_whole(chosen: list[str], tier: Tier) -> None:
    story = drive([said(tier, [" ".join(chosen)])])
    wanted = " ".join(text.rsplit(" [", 1)[0] for text in chosen)
    assert story.seen.text == wanted
    assert story.seen.verdict is not None
    assert story.seen.verdict.status is VerdictStatus.PASS
    assert story.count(Hush) == 0
    assert len(story.seen.citations) >= len(chosen)


def test_one_bad_sentence_asks_for_quotations_once() -> None:
    story = drive([said(Tier.STRONG, [BAD[0] + " And it"]), said(Tier.EXTRACTIVE, [GOOD[0]])])
    assert [type(e) for e in story.effects if not isinstance(e, Emit)] == [
        Search,
        Ask,
        Hush,
        Ask,
        End,
    ]
    assert story.seen.text == FACTS[0]
    assert story.seen.verdict is not None
    assert story.seen.verdict.status is VerdictStatus.REPLACED
    assert story.seen.verdict.answered_by is AnsweredBy.EXTRACTION


@pytest.mark.parametrize("quoter", [None, said(Tier.EXTRACTIVE, ["It swims."])])
@pytest.mark.parametrize("language", ["en", "zh", "zh-TW", "xx"])
def test_where_nothing_holds_it_refuses_in_the_language(
    quoter: Sequence[GatewayEvent] | None, language: str
) -> None:
    story = drive([said(Tier.STRONG, ["It flies."]), quoter], language=language)
    assert story.seen.text == refusal_text(language)
    assert story.reason is EndReason.REFUSED


def test_what_is_out_stays_out_when_quoting_fails() -> None:
    story = drive([said(Tier.STRONG, [GOOD[0], " ", BAD[1]]), None])
    assert story.seen.text == FACTS[0]
    assert story.reason is EndReason.STOP


def test_a_model_that_stopped_in_mid_sentence_leaves_it_out() -> None:
    story = drive([said(Tier.STRONG, [f"{GOOD[0]} It is insp"], StopCause.LENGTH)])
    assert story.seen.text == FACTS[0]
    assert story.reason is EndReason.LENGTH


def test_another_deployment_starts_with_a_guard_of_its_own_tier() -> None:
    switched = Switched(DeploymentName("TINY"), DeploymentName("STRONG"), 1, "overloaded")
    claim = "8 people fit into the lift, which is inspected. [1]"  # no quotation, yet it holds
    first = said(Tier.TINY, [])[:-1]
    story = drive([[*first, switched, *said(Tier.STRONG, [claim])]])
    assert story.seen.text == claim.removesuffix(" [1]")
    assert [switch.next for switch in story.seen.switches] == ["STRONG"]


def test_thoughts_of_a_silenced_model_are_not_passed_on() -> None:
    state, _ = begin(STARTED, grounded=True, grounding=Grounding.SENTENCE, language="en")
    state = replace(state, silent=True)
    for happening in (ReasoningDelta("hm"), TextDelta("x"), RefusalDelta("y")):
        assert advance(state, happening) == (state, ())


@given(answers())
def test_thoughts_are_no_part_of_the_answer(pieces: list[object]) -> None:
    story = drive([said(Tier.STRONG, pieces), None])
    thoughts = [event for event in story.events if isinstance(event, Reasoning)]
    assert all(thought.text == "hm" for thought in thoughts)
    assert not any(
        isinstance(event, Cited) and "hm" in event.citation.quote for event in story.events
    )


def test_a_restart_takes_back_what_was_sent_and_only_that() -> None:
    strong = _deployment(Tier.STRONG)
    state, _ = begin(STARTED, grounded=False, grounding=Grounding.OFF, language="en")
    state, _ = advance(state, Selected(strong, 1, 5))
    state, _ = advance(state, TextDelta("Hal"))
    restarted = Restarted(strong.name, "connection")
    state, effects = advance(state, restarted)
    assert effects == (Emit(Retracted("connection")),)
    grounded, _ = begin(STARTED, grounded=True, grounding=Grounding.SENTENCE, language="en")
    grounded, _ = advance(grounded, Found(()))
    grounded, _ = advance(grounded, Selected(strong, 1, 5))
    grounded, _ = advance(grounded, TextDelta("Not a whole sent"))
    assert advance(grounded, restarted)[1] == ()
