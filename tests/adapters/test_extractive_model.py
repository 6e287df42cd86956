"""The model that quotes: with an embedder, without one, and with one that is late or missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from adapters.models.extractive import ExtractiveModel
from core.catalog import Deployment, Tier
from core.generation import (
    GenerationRequest,
    ModelEvent,
    ModelFinished,
    RefusalDelta,
    StopCause,
    TextDelta,
)
from core.grounding.refusals import no_documents_text, refusal_text
from core.identifiers import ChunkId, CollectionName, DeploymentName, DocumentId, Seconds
from core.knowledge import Chunk, Passage, Vector
from core.messages import Message, Role
from core.ports.embedder import TextKind
from fakes.embedder import FakeEmbedder

DEPLOYMENT = Deployment(
    DeploymentName("quotes"), "extractive", "extractive", Tier.EXTRACTIVE, 1_000_000, 4_096
)
TEXT = "The Orla bridge was opened in 1904. It is 310 m long. Ferries ended when it came."
ZH = "奥拉桥于1904年通车。桥长三百一十米。"


def passage(text: str) -> Passage:
    chunk = Chunk(ChunkId(text[:8]), DocumentId("d"), 0, text, 0, len(text))
    return Passage(chunk, CollectionName("c"), "Orla bridge", "file:x", 1.0)


async def answer(
    model: ExtractiveModel, question: str, *passages: str, timeout: float = 10.0
) -> list[ModelEvent]:
    request = GenerationRequest(
        (Message.of(Role.USER, f"Sources and so on. {question}"),),
        question=question,
        context=tuple(map(passage, passages)),
    )
    async with aclosing(model.stream(request, timeout=Seconds(timeout))) as events:
        return [event async for event in events]


async def test_it_quotes_with_a_marker_a_sentence_and_says_that_it_stopped() -> None:
    for embedder in (None, FakeEmbedder()):
        events = await answer(ExtractiveModel(DEPLOYMENT, embedder), "When was it opened?", TEXT)
        first = events[0]
        assert isinstance(first, TextDelta)
        assert first.text == "The Orla bridge was opened in 1904. [1]"
        assert isinstance(events[-1], ModelFinished)
        assert events[-1].cause is StopCause.STOP


async def test_it_refuses_in_the_language_of_the_question_and_says_that_it_is_a_refusal() -> None:
    model = ExtractiveModel(DEPLOYMENT)
    for question, language in (("Who won the cup in Brazil?", "en"), ("谁得了巴西的冠军？", "zh")):
        refused, finished = await answer(model, question, TEXT, ZH)
        assert refused == RefusalDelta(refusal_text(language))
        assert isinstance(finished, ModelFinished)
    bare, _ = await answer(model, "Who won the cup?")
    assert bare == RefusalDelta(no_documents_text("en"))


async def test_without_weights_it_goes_by_words() -> None:
    embedder = FakeEmbedder()
    embedder.missing = True
    model = ExtractiveModel(DEPLOYMENT, embedder)
    without = ExtractiveModel(DEPLOYMENT)
    assert await answer(model, "How long is it?", TEXT) == await answer(
        without, "How long is it?", TEXT
    )


class Late(FakeEmbedder):
    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        await asyncio.sleep(3600)
        return await super().embed(texts, kind)


async def test_a_late_embedder_is_not_waited_for_to_the_end() -> None:
    model = ExtractiveModel(DEPLOYMENT, Late())
    events = await answer(model, "How long is the bridge?", TEXT, timeout=2.0)
    assert any(isinstance(event, TextDelta) and "310 m" in event.text for event in events)


async def test_what_was_embedded_once_is_remembered_up_to_a_bound() -> None:
    embedder = FakeEmbedder()
    model = ExtractiveModel(DEPLOYMENT, embedder)
    await answer(model, "When was it opened?", TEXT)
    once = len(embedder.embedded)
    await answer(model, "When was it opened?", TEXT)
    assert len(embedder.embedded) == once
