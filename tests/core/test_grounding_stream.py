"""The guard of a streamed answer: what comes out, when, and with which citations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalog import Tier
from core.chat import Grounding
from core.grounding.checks import Fault
from core.grounding.refusals import refusal_text
from core.grounding.stream import (
    Failure,
    GroundedStream,
    Guarded,
    Release,
    begin,
    continued,
    feed,
    finish,
    refuse,
    verdict,
)
from core.grounding.verdict import AnsweredBy, VerdictStatus
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage

if TYPE_CHECKING:
    from core.grounding.citations import Citation

BRIDGE = "The Orla bridge was opened in 1904. It is 310 m long. Two piers carry it."
FERRY = "Ferry service ended in 1931, when the tunnel was finished. 渡船很慢。隧道很快。"


def passage(name: str, text: str) -> Passage:
    chunk = Chunk(ChunkId(name), DocumentId(f"doc-{name}"), 0, text, 0, len(text))
    return Passage(chunk, CollectionName("c"), f"About {name}", f"file:{name}.md", 1.0)


PASSAGES = (passage("bridge", BRIDGE), passage("ferry", FERRY))


def run(
    pieces: list[str], tier: Tier = Tier.TINY, mode: Grounding = Grounding.SENTENCE
) -> tuple[GroundedStream, list[Guarded]]:
    state = begin(PASSAGES, tier, mode)
    out: list[Guarded] = []
    for piece in pieces:
        state, more = feed(state, piece)
        out += more
    state, more = finish(state)
    return state, out + list(more)


def text_of(out: list[Guarded]) -> str:
    return "".join(item.text for item in out if isinstance(item, Release))


def citations_of(out: list[Guarded]) -> list[Citation]:
    return [c for item in out if isinstance(item, Release) for c in item.citations]


def test_a_sentence_goes_out_once_it_is_checked_and_not_before() -> None:
    state, out = feed(begin(PASSAGES, Tier.TINY, Grounding.SENTENCE), "It is 310 m long [1")
    assert out == ()
    state, out = feed(state, "]. Two piers carry")
    assert text_of(list(out)) == "It is 310 m long."
    state, out = feed(state, " it [1].")
    assert out == ()
    state, out = finish(state)
    assert text_of(list(out)) == " Two piers carry it."
    assert verdict(state).status is VerdictStatus.PASS
    assert verdict(state).answered_by is AnsweredBy.MODEL


def test_a_citation_has_the_bytes_of_its_sentence_and_the_place_of_its_source() -> None:
    _, out = run(["😀 is not there. "], Tier.STRONG, Grounding.OFF)
    _state, out = run(["渡船很慢。[2] It is 310 m long [1]."])
    text, (first, second) = text_of(out).encode(), citations_of(out)
    assert text[first.start_byte : first.end_byte].decode() == first.cited_text == "渡船很慢。"
    assert text[second.start_byte : second.end_byte].decode() == "It is 310 m long."
    assert (first.chunk, first.document, first.number) == ("ferry", "doc-ferry", 2)
    assert FERRY[first.source_start : first.source_end] == first.quote == "渡船很慢。"
    assert (second.title, second.uri) == ("About bridge", "file:bridge.md")


def test_unknown_citations_are_dropped_and_counted() -> None:
    state, out = run(["It is 310 m long [1][7]."])
    assert [citation.number for citation in citations_of(out)] == [1]
    assert verdict(state).status is VerdictStatus.REPAIRED
    assert [found.rule for found in verdict(state).details] == ["citation_unknown"]


def test_a_quotation_without_its_citation_or_with_a_wrong_one_is_mended() -> None:
    for written in ("It is 310 m long.", "It is 310 m long [2]."):
        state, out = run([written])
        assert [citation.number for citation in citations_of(out)] == [1]
        assert verdict(state).status is VerdictStatus.REPAIRED
        assert verdict(state).answered_by is AnsweredBy.REPAIR


def test_what_does_not_stand_in_the_source_fails_behind_a_tiny_model() -> None:
    state, out = run(["The bridge is 310 m long [1]. It is 310 m long [1]."])
    assert out == [
        Failure("The bridge is 310 m long.", Fault.NOT_VERBATIM, "stands in no source", False)
    ]
    assert feed(state, "It is 310 m long [1]. More.")[1] == ()
    assert verdict(state).status is VerdictStatus.REPLACED


def test_the_extractive_answer_goes_on_after_what_was_released() -> None:
    state, out = run(["It is 310 m long [1]. It is blue [1]."])
    assert isinstance(out[-1], Failure)
    assert out[-1].released
    state = continued(state)
    state, more = feed(state, "It is 310 m long. [1] Two piers carry it. [1]")
    state, rest = finish(state)
    out += [*more, *rest]
    text = text_of(out)
    assert text == "It is 310 m long. Two piers carry it."
    last = citations_of(out)[-1]
    assert text.encode()[last.start_byte : last.end_byte].decode() == "Two piers carry it."
    assert verdict(state).status is VerdictStatus.REPLACED
    assert verdict(state).answered_by is AnsweredBy.EXTRACTION


def test_final_lets_nothing_out_before_the_end_and_nothing_of_a_failed_answer() -> None:
    state, out = feed(
        begin(PASSAGES, Tier.TINY, Grounding.FINAL), "It is 310 m long [1]. Two piers carry"
    )
    assert out == ()
    _, good = finish(feed(state, " it [1].")[0])
    assert text_of(list(good)) == "It is 310 m long. Two piers carry it."
    state, bad = finish(feed(state, " me [1].")[0])
    assert [type(item) for item in bad] == [Failure]
    state, out = refuse(continued(state), "No.")
    assert text_of(list(out)) == "No."
    assert verdict(state).status is VerdictStatus.REFUSED


def test_off_lets_text_out_as_it_comes() -> None:
    state, first = feed(begin(PASSAGES, Tier.TINY, Grounding.OFF), "It is bl")
    assert text_of(list(first)) == "It is bl"
    state, second = feed(state, "ue [1]. And so on [9]. ")
    state, third = finish(state)
    out = [*first, *second, *third]
    assert text_of(out) == "It is blue. And so on. "
    assert [citation.cited_text for citation in citations_of(out)] == ["It is blue."]
    assert verdict(state).status is VerdictStatus.REPAIRED


def test_a_refusal_in_our_words_ends_the_answer() -> None:
    for language in ("en", "zh"):
        state, out = run([refusal_text(language), " But it is blue."])
        assert text_of(out) == refusal_text(language)
        assert verdict(state).status is VerdictStatus.REFUSED
        assert verdict(state).answered_by is AnsweredBy.MODEL


def test_a_refusal_after_an_answer_is_left_out() -> None:
    state, out = run(["It is 310 m long [1]. ", refusal_text("en")])
    assert text_of(out) == "It is 310 m long."
    assert verdict(state).status is VerdictStatus.REPAIRED


def test_an_empty_answer_fails() -> None:
    _, out = run([" \n"])
    assert isinstance(out[-1], Failure)
    assert out[-1].fault is Fault.EMPTY


def test_a_sentence_that_was_cut_is_left_out_and_not_judged() -> None:
    state, _ = feed(begin(PASSAGES, Tier.TINY, Grounding.SENTENCE), "It is 310 m long [1]. Two pi")
    state, out = finish(state, cut=True)
    assert text_of(list(out)) == "It is 310 m long."
    assert not any(isinstance(item, Failure) for item in out)


def test_extractive_answers_are_checked_too_and_say_whose_they_are() -> None:
    state, out = run(["Two piers carry it. [1]"], Tier.EXTRACTIVE)
    assert text_of(out) == "Two piers carry it."
    assert verdict(state).answered_by is AnsweredBy.EXTRACTION
    assert verdict(state).status is VerdictStatus.PASS


CLAIMS = [
    "It is 310 m long",
    "Two piers carry it.",
    "渡船很慢。",
    "It is blue. ",
    "The Orla ",
    "1904 ",
]
MARKS = [" [1]", ". ", "[2]", "[9]", "\n", "- ", "[1] ", "```\nx\n```\n"]
PIECES = st.lists(st.sampled_from(CLAIMS + MARKS), max_size=14)


@settings(max_examples=200)
@given(PIECES, st.sampled_from(list(Tier)), st.sampled_from(list(Grounding)))
def test_however_it_is_split_the_same_comes_out_and_offsets_hold(
    pieces: list[str], tier: Tier, mode: Grounding
) -> None:
    state, out = run(pieces, tier, mode)
    state_by_letter, by_letter = run(list("".join(pieces)), tier, mode)
    text = text_of(out)
    assert text == text_of(by_letter)
    assert citations_of(out) == citations_of(by_letter)
    assert verdict(state) == verdict(state_by_letter)
    for citation in citations_of(out):
        span = text.encode()[citation.start_byte : citation.end_byte].decode()
        assert span == citation.cited_text


@settings(max_examples=200)
@given(PIECES)
def test_behind_a_tiny_model_only_sentences_of_the_sources_come_out(pieces: list[str]) -> None:
    _, out = run(pieces)
    held = [BRIDGE, FERRY]
    for citation in citations_of(out):
        assert citation.quote
        assert any(citation.quote in text for text in held)
    assert "blue" not in text_of(out)
