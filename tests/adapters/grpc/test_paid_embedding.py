"""What documents and searches embed at a paid provider is booked to who asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.v1.retrieval_pb2 import SearchRequest
from core.ports.embedder import Embedded, TextKind
from fakes.embedder import FakeEmbedder
from fakes.served_node import pieces, served_node
from fakes.state import FakeState


class CountingFake(FakeEmbedder):
    """A token a word."""

    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        words = sum(len(text.split()) for text in texts)
        return Embedded(await self.embed(texts, kind), words)


async def test_an_ingest_and_a_search_are_booked_to_their_callers() -> None:
    state = FakeState()
    async with served_node(state=state, embedder=CountingFake()) as node:
        await node.ingest(pieces("c", {"a.md": b"The lift carries eight people."}))
        request = SearchRequest(collections=["collections/c"], query="how many people")
        await node.stubs.retrieval.Search(request, metadata=node.key(user="bob"))
    lines = {line.feature: line for line in state.tables.ledger.values()}
    assert {name: (line.tenant, line.user) for name, line in lines.items()} == {
        "ingestion": ("acme", "ann"),
        "retrieval": ("acme", "bob"),
    }
    assert lines["retrieval"].usage.prompt == 3
    assert (lines["ingestion"].usage.prompt or 0) >= 5
    assert [line.estimated for line in lines.values()] == [False, False]
    assert [line.cost for line in lines.values()] == [None, None]  # nobody said what it costs
