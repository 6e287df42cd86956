"""Likenesses of many questions at once, with a memory that holds hardly one of them."""

from __future__ import annotations

import asyncio

from adapters.models.likeness import LikenessMeter
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage
from fakes.embedder import FakeEmbedder


def passage(text: str) -> Passage:
    chunk = Chunk(ChunkId(text), DocumentId("d"), 0, text, 0, len(text))
    return Passage(chunk, CollectionName("docs"), "Title", "d.md", 1.0)


async def test_calls_that_put_out_each_others_vectors_get_theirs_all_the_same() -> None:
    passages = [passage(f"The ferry {n} leaves. It comes back at {n} o'clock.") for n in range(4)]
    questions = [f"When does the ferry {n} come back?" for n in range(8)]
    tight = LikenessMeter(FakeEmbedder(), capacity=3)
    roomy = LikenessMeter(FakeEmbedder())
    found = await asyncio.gather(*(tight.of_sentences(q, passages) for q in questions * 3))
    assert found == [await roomy.of_sentences(q, passages) for q in questions * 3]
