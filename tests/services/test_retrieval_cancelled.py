"""A search that is left at any moment leaves nothing that nobody awaits."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from datetime import UTC, datetime

from core.call import Call
from core.identifiers import ApiKeyId, CallId, CollectionName, Seconds, TenantId, UserId
from core.knowledge import Collection, CollectionKey
from core.ports.retriever import SearchRequest
from core.principal import Principal
from core.retrieval.fusion import FusionPolicy
from fakes.embedder import FakeEmbedder
from fakes.keyword_index import FakeKeywordIndex
from fakes.state import FakeState
from fakes.turn_node import loop_clock
from fakes.vector_index import FakeVectorIndex
from services.embedders import Embedders
from services.indexing import IndexFollower
from services.retrieval import Retrieval

MOST_STEPS = 40
"""More rounds of the loop than a search of the fakes takes."""
ACME, DOCS = TenantId("acme"), CollectionName("docs")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_it_may_be_left_before_any_of_its_parts_has_begun() -> None:
    state, vectors, keywords = FakeState(), FakeVectorIndex(), FakeKeywordIndex()
    embedder = FakeEmbedder()
    async with state.transaction(ACME) as tx:
        key = CollectionKey(ACME, DOCS)
        collection = Collection(key, embedder.name, embedder.dimensions, THEN)
        tx.knowledge.insert_collection(collection)
    retrieval = Retrieval(
        *(state, vectors, keywords, Embedders({"it": embedder}, "it")),
        *(IndexFollower(state, vectors, keywords), loop_clock(), FusionPolicy()),
    )
    principal = Principal(ACME, UserId("ann"), ApiKeyId("k"), frozenset({"*"}))
    deadline = Seconds(asyncio.get_running_loop().time() + 60)
    left_early = 0
    for steps in range(MOST_STEPS):
        call = Call(principal, CallId("c"), deadline)
        searching = asyncio.create_task(retrieval.search(call, SearchRequest("word", (DOCS,))))
        for _ in range(steps):
            await asyncio.sleep(0)
        left_early += searching.cancel()
        with suppress(asyncio.CancelledError):
            await searching
    assert 0 < left_early < MOST_STEPS  # in the midst of it, and after its end
    gc.collect()  # what was never awaited is told of as it goes, and fails this test
