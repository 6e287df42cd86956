"""A turn as its log tells it, however the log is cut."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.generation import TokenUsage
from core.grounding.citations import Citation
from core.grounding.verdict import AnsweredBy, Verdict, VerdictStatus
from core.identifiers import ChunkId, DeploymentName, DocumentId, TurnId
from core.turns.events import (
    AttemptUsed,
    Cited,
    Finished,
    Latencies,
    Reasoning,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
    joined,
    kind_of,
    releases,
)
from core.turns.rows import EndReason
from core.turns.transcript import Transcript

M = DeploymentName("m")


def _cited(start: int) -> Cited:
    return Cited(Citation(start, start + 1, "x", 1, ChunkId("c"), DocumentId("d"), "", ""))


texts = st.builds(Text, st.text(max_size=5))
answer_events = st.one_of(
    texts,
    texts,
    st.builds(Reasoning, st.text(max_size=5)),
    st.builds(_cited, st.integers(0, 9)),
    st.builds(Switched, st.just(M), st.just(M), st.integers(1, 3), st.just("overloaded")),
    st.builds(
        AttemptUsed,
        st.integers(1, 3),
        st.just(M),
        st.just(TokenUsage(1, 1)),
        st.booleans(),
        st.just(Decimal(1)),
        st.just("USD"),
    ),
    st.just(Retrieved(())),
    st.just(Validated(Verdict(VerdictStatus.PASS, AnsweredBy.MODEL))),
)
answers = st.lists(answer_events, max_size=20)


def _started(run: int) -> Started:
    return Started(TurnId("t"), run, "chat@1", "")


def _told(transcript: Transcript) -> tuple[object, ...]:
    return (
        transcript.started,
        transcript.text,
        transcript.reasoning,
        tuple(transcript.citations),
        tuple(transcript.switches),
        tuple(transcript.used),
        transcript.verdict,
        transcript.finished,
        transcript.passages,
        transcript.model,
        transcript.text_bytes,
    )


@given(answers, st.integers(0, 20))
def test_it_does_not_matter_where_the_log_is_cut(events: list[TurnEvent], place: int) -> None:
    log = [_started(1), *events]
    parts = Transcript.of(log[:place])
    for event in log[place:]:
        parts.add(event)
    assert _told(parts) == _told(Transcript.of(log))


@given(answers)
def test_joining_texts_changes_nothing_that_is_told(events: list[TurnEvent]) -> None:
    assert _told(Transcript.of(joined(events))) == _told(Transcript.of(events))


@given(answers)
def test_joining_keeps_order_and_leaves_no_two_texts_side_by_side(
    events: list[TurnEvent],
) -> None:
    result = joined(events)
    for one, two in pairwise(result):
        assert not (isinstance(one, Text | Reasoning) and type(one) is type(two))
    others = [event for event in events if not isinstance(event, Text | Reasoning)]
    assert [event for event in result if not isinstance(event, Text | Reasoning)] == others
    assert joined(result) == result
    assert any(map(releases, result)) == any(map(releases, events))


@given(answers, answers)
def test_a_later_run_voids_what_was_before_it(
    before: list[TurnEvent], after: list[TurnEvent]
) -> None:
    told = Transcript.of([_started(1), *before, _started(2), *after])
    alone = Transcript.of([_started(2), *after])
    assert (told.text, told.reasoning, told.citations, told.verdict, told.passages) == (
        alone.text,
        alone.reasoning,
        alone.citations,
        alone.verdict,
        alone.passages,
    )
    spent = [e for e in (*before, *after) if isinstance(e, AttemptUsed)]
    assert told.used == spent  # what was spent was spent


def test_what_releases_is_what_a_client_reads_as_the_answer() -> None:
    verdict = Validated(Verdict(VerdictStatus.PASS, AnsweredBy.MODEL))
    released: list[TurnEvent] = [Text("x"), Reasoning("x"), _cited(0)]
    others: list[TurnEvent] = [_started(1), Retrieved(()), verdict, Switched(M, M, 1, "")]
    assert all(map(releases, released))
    assert not any(map(releases, others))


def test_every_event_has_a_kind() -> None:
    finished = Finished(EndReason.STOP, "m", TokenUsage(), False, None, "USD", Latencies())
    kinds = [kind_of(event) for event in (_started(1), Text("x"), Reasoning("x"), finished)]
    assert kinds == ["started", "delta", "delta", "finished"]


def test_the_model_is_the_one_that_answered() -> None:
    one, two = DeploymentName("one"), DeploymentName("two")
    switched = Switched(one, two, 1, "overloaded")
    used = AttemptUsed(2, two, TokenUsage(), False, None, "")
    finished = Finished(EndReason.STOP, "three", TokenUsage(), False, None, "", Latencies())
    log: list[TurnEvent] = []
    models = [Transcript.of(log).model]
    for event in (_started(1), switched, used, finished):
        log.append(event)
        models.append(Transcript.of(log).model)
    assert models == ["", "", "two", "two", "three"]
