"""Answers from documents: checked sentence by sentence, replaced where they don't hold."""

from __future__ import annotations

import asyncio

import pytest

from core.catalog import Tier
from core.chat import Grounding
from core.errors import Reason, Unavailable
from core.generation import Constraints, GenerationOptions, ModelError, ModelErrorKind
from core.grounding.refusals import refusal_text
from core.grounding.verdict import AnsweredBy, VerdictStatus
from core.identifiers import ChunkId, CollectionName, DocumentId, RequestId, Seconds, TurnId
from core.knowledge import Chunk, Passage
from core.ports.state import State
from core.turns.events import Cited, Validated
from core.turns.rows import EndReason
from fakes.language_model import Decline, Fail, ScriptedModel, Wait, script
from fakes.turn_node import a_model, turn_node
from fakes.turn_readers import Read

LIFT = "The lift carries 8 people. It is inspected every 6 months."
BOAT = "渡船每天六点开航。🚢 票价是五元。"
DOCS = (CollectionName("docs"),)


def passage(text: str, id: str = "c1") -> Passage:
    chunk = Chunk(ChunkId(id), DocumentId(f"doc-{id}"), 0, text, 100, 100 + len(text))
    return Passage(chunk, DOCS[0], f"On {id}", f"file:///{id}.md", 1.0)


PASSAGES = (passage(LIFT, "lift"), passage(BOAT, "boat"))


def quoting(*steps: str) -> ScriptedModel:
    """The model that only quotes."""
    return a_model(script(*steps), name="extractive", tier=Tier.EXTRACTIVE, price="0")


def _cited_words(read: Read) -> list[str]:
    text = read.text.encode()
    return [text[c.start_byte : c.end_byte].decode() for c in read.transcript.citations]


async def test_sentences_are_released_one_by_one_with_their_citations(state: State) -> None:
    steps = ("The lift carries 8 people [1].", Wait(1), " It is inspected every 6 months [1].")
    async with turn_node(state, [a_model(script(*steps))], passages=PASSAGES) as node:
        read = await node.ask("What about the lift?", collections=DOCS)
        assert read.kinds == [
            "Started",
            "Retrieved",
            "Text",
            "Cited",
            "Text",
            "Cited",
            "AttemptUsed",
            "Validated",
            "Finished",
        ]
        assert read.text == "The lift carries 8 people. It is inspected every 6 months."
        assert _cited_words(read) == [
            "The lift carries 8 people.",
            "It is inspected every 6 months.",
        ]
        assert [c.chunk for c in read.transcript.citations] == ["lift", "lift"]
        verdict = read.transcript.verdict
        assert verdict is not None
        assert (verdict.status, verdict.answered_by) == (VerdictStatus.PASS, AnsweredBy.MODEL)
        record = await node.execution(read.turn)
        assert record is not None
        assert (record.validation, record.answered_by) == ("PASS", "MODEL")
        assert record.retrieved == ("doc-lift", "doc-boat")
        assert read.call is not None
        assert read.call.facts.retrieved_doc_ids == ("doc-lift", "doc-boat")
        assert read.call.facts.validation_status == "PASS"


async def test_citations_count_bytes_in_any_script(state: State) -> None:
    steps = ("渡船每天六点", "开航。[2]🚢 票价", "是五元。[2]")
    async with turn_node(state, [a_model(script(*steps))], passages=PASSAGES) as node:
        talk = await node.converse()
        read = await node.ask("渡船几点开？", collections=DOCS, conversation=talk)
        assert read.text == "渡船每天六点开航。🚢 票价是五元。"
        assert "".join(_cited_words(read)).replace(" ", "") == read.text.replace(" ", "")
        for citation in read.transcript.citations:
            assert citation.source_start is not None
            assert citation.source_end is not None
            start, end = citation.source_start - 100, citation.source_end - 100
            assert BOAT[start:end] == citation.quote
        stored = (await node.said(talk))[-1]
        assert len(stored.citations) == len(read.transcript.citations)


async def test_a_bad_sentence_is_replaced_by_a_quotation(state: State) -> None:
    strong = a_model(script("The lift carries 9 people [1]. And then", Wait(50), " more."))
    models = [strong, quoting("The lift carries 8 people. [1]")]
    async with turn_node(state, models, passages=PASSAGES) as node:
        read = await node.ask("How many?", collections=DOCS)
        assert read.text == "The lift carries 8 people."
        assert b"9 people" not in read.encoded
        verdict = read.transcript.verdict
        assert verdict is not None
        assert (verdict.status, verdict.answered_by) == (
            VerdictStatus.REPLACED,
            AnsweredBy.EXTRACTION,
        )
        assert strong.running == 0
        finished = read.transcript.finished
        assert finished is not None
        assert (finished.reason, finished.model) == (EndReason.STOP, "extractive")
        lines = await node.ledger(read.turn)
        assert [(line.deployment, line.estimated) for line in lines] == [
            ("strong", True),
            ("extractive", False),
        ]


async def test_what_was_released_stays_when_the_rest_is_replaced(state: State) -> None:
    strong = a_model(
        script("The lift carries 8 people [1].", " It is inspected every 7 months [1].")
    )
    models = [strong, quoting("The lift carries 8 people. [1] It is inspected every 6 months. [1]")]
    async with turn_node(state, models, passages=PASSAGES) as node:
        read = await node.ask("Tell me", collections=DOCS)
        assert read.text == "The lift carries 8 people. It is inspected every 6 months."
        assert _cited_words(read) == [
            "The lift carries 8 people.",
            "It is inspected every 6 months.",
        ]


async def test_where_nothing_can_be_quoted_it_says_so_in_plain_words(state: State) -> None:
    models = [a_model(script("It flies.")), quoting("It swims. [1]")]
    async with turn_node(state, models, passages=PASSAGES) as node:
        read = await node.ask("Does it fly?", collections=DOCS)
        assert read.text == refusal_text("en")
        assert read.kinds[-2:] == ["Validated", "Finished"]
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.REFUSED
        assert len(models[1].calls) == 1


async def test_a_caller_who_wants_a_strong_model_may_be_shown_quotations(state: State) -> None:
    models = [a_model(script("It flies.")), quoting("The lift carries 8 people. [1]")]
    async with turn_node(state, models, passages=PASSAGES) as node:
        strong = Constraints(tier=Tier.STRONG)
        options = GenerationOptions(max_output_tokens=800, seed=1)
        read = await node.ask(
            "How many?", collections=DOCS, constraints=strong, options=options, model="strong"
        )
        assert read.text == "The lift carries 8 people."


async def test_without_a_model_that_quotes_it_refuses_and_does_not_fail(state: State) -> None:
    async with turn_node(state, [a_model(script("It flies."))], passages=PASSAGES) as node:
        read = await node.ask("Does it fly?", collections=DOCS)
        assert (read.text, read.error) == (refusal_text("en"), None)
        verdict = read.transcript.verdict
        assert verdict is not None
        assert verdict.status is VerdictStatus.REFUSED
        assert any(found.rule == "uncited" for found in verdict.details)


async def test_a_quoting_model_that_fails_is_a_refusal_too(state: State) -> None:
    down = ModelError(ModelErrorKind.CONNECTION, "gone")
    broken = a_model(script(Fail(down)), name="extractive", tier=Tier.EXTRACTIVE)
    models = [a_model(script("The lift carries 8 people [1]. ", "It flies.")), broken]
    async with turn_node(state, models, passages=PASSAGES) as node:
        read = await node.ask("Does it fly?", collections=DOCS)
        assert read.error is None
        assert read.text == "The lift carries 8 people."  # it was released, and holds
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.STOP
        verdict = read.transcript.verdict
        assert verdict is not None
        assert verdict.status is not VerdictStatus.PASS


async def test_a_question_that_is_not_answered_is_refused(state: State) -> None:
    no = ("The documents do not", " answer this question.")
    async with turn_node(state, [a_model(script(*no))], passages=PASSAGES) as node:
        talk = await node.converse()
        read = await node.ask("Who won?", collections=DOCS, conversation=talk)
        assert read.text == refusal_text("en")
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.REFUSED
        assert not (await node.said(talk))[-1].partial


async def test_a_refusal_in_pieces_arrives_whole(state: State) -> None:
    pieces = (Decline("I cannot"), Wait(0.1), Decline(" help"), Wait(0.1), Decline(" with that."))
    async with turn_node(state, [a_model(script(*pieces))], passages=PASSAGES) as node:
        read = await node.ask("Do harm", collections=DOCS)
        assert read.text == "I cannot help with that."
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.REFUSED


async def test_final_releases_all_at_the_end(state: State) -> None:
    steps = ("The lift carries 8 people [1].", Wait(1), " It is inspected every 6 months [1].")
    async with turn_node(state, [a_model(script(*steps))], passages=PASSAGES) as node:
        read = await node.ask("Tell me", collections=DOCS, grounding=Grounding.FINAL)
        assert read.text == "The lift carries 8 people. It is inspected every 6 months."
        finished = read.transcript.finished
        assert finished is not None
        assert finished.latencies.first_text == pytest.approx(1.0, abs=0.1)


async def test_off_releases_what_comes(state: State) -> None:
    async with turn_node(state, [a_model(script("It ", "flies."))], passages=PASSAGES) as node:
        read = await node.ask("Does it fly?", collections=DOCS, grounding=Grounding.OFF)
        assert read.text == "It flies."
        assert "Validated" in read.kinds


async def test_nothing_unchecked_is_released_before_a_cancel(state: State) -> None:
    model = a_model(script("The lift carries 8 people [1]. The lift also", Wait(10), " flies."))
    async with turn_node(state, [model], passages=PASSAGES) as node:
        asking = asyncio.create_task(node.ask("Tell me", collections=DOCS, request_id="r1"))
        await asyncio.sleep(1)
        await node.chat.cancel(node.call(), TurnId(""), RequestId("r1"))
        assert (await asking).text.strip() == "The lift carries 8 people."


async def test_a_search_that_is_late_or_down_is_said(state: State) -> None:
    model = a_model(script("x"))
    async with turn_node(state, [model], passages=PASSAGES) as node:
        node.retriever.error = Unavailable("no index could be searched in time")
        down = await node.ask("Tell me", collections=DOCS, request_id="r1")
        assert down.error is not None
        assert down.error.reason is Reason.SERVICE_UNAVAILABLE
        assert down.error.metadata["rerunnable"] == "true"
        assert model.calls == []

        async def never(*_: object) -> None:
            await asyncio.sleep(3600)

        node.retriever.search = never  # type: ignore[method-assign,assignment]
        began = node.clock.monotonic()
        late = await node.ask("Tell me", collections=DOCS)
        assert late.error is not None
        assert late.error.reason is Reason.SERVICE_UNAVAILABLE
        assert node.clock.monotonic() - began == pytest.approx(10, abs=0.5)


async def test_a_search_has_no_more_time_than_the_turn(state: State) -> None:
    async with turn_node(state, passages=PASSAGES) as node:

        async def never(*_: object) -> None:
            await asyncio.sleep(3600)

        node.retriever.search = never  # type: ignore[method-assign,assignment]
        late = await node.ask("Tell me", node.call(deadline=2), collections=DOCS)
        assert late.error is not None
        assert late.error.reason is Reason.DEADLINE_EXCEEDED


async def test_citations_and_verdict_come_in_their_places(state: State) -> None:
    async with turn_node(state, [a_model(script(LIFT + " [1]"))], passages=PASSAGES) as node:
        read = await node.ask("Tell me", collections=DOCS, linger=Seconds(1))
        kinds = [type(event) for event in read.events]
        assert kinds.count(Validated) == 1
        assert kinds.index(Validated) > max(i for i, kind in enumerate(kinds) if kind is Cited)
