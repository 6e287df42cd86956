"""Vectors that outlive the process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from core.call import Call
from core.identifiers import ApiKeyId, CallId, Seconds, TenantId
from core.ports.embedder import TextKind
from core.ports.state import EVERY_TENANT
from core.prices import Prices
from core.principal import Principal
from fakes.embedder import FakeEmbedder
from fakes.faulty_state import FaultyState
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN, loop_clock, loop_now
from services.embedders import Embedders
from services.models.attempts import Attempts
from services.models.cache_store import CacheBounds, CacheStore
from services.models.embedding import EmbeddedTexts, Embedding, EmbeddingCache
from services.models.stored_vectors import StoredVectors

BOUNDS = CacheBounds(read=Seconds(0.05), most_rows=100, most_bytes=100_000)
DAY = Seconds(86_400)


class Process:
    """An embedder with nothing in memory, and its way to a store that others use."""

    def __init__(self, store: FakeState) -> None:
        self.embedder = FakeEmbedder()
        self.way = FaultyState(store)
        self.caches = CacheStore(self.way, loop_clock(), BOUNDS)
        self.embedding = Embedding(
            Embedders({"it": self.embedder}, "it", {"it": Prices(Decimal(0), Decimal(0))}),
            Attempts(store),
            EmbeddingCache(1_000_000),
            lambda prefix: f"{prefix}-1",
            stored=StoredVectors(self.caches, DAY),
        )

    async def embed(
        self, *texts: str, tenant: TenantId = ACME, kind: TextKind = TextKind.QUERY
    ) -> EmbeddedTexts:
        principal = Principal(tenant, ANN, ApiKeyId("k"), frozenset({"*"}))
        call = Call(principal, CallId("c"), Seconds(60.0))
        made = await self.embedding.embed(call, texts, kind, "", "search")
        await asyncio.sleep(0)
        await self.caches.flush()
        return made

    @property
    def embedded(self) -> Sequence[str]:
        return [text for text, _ in self.embedder.embedded]


@pytest.fixture
def store() -> FakeState:
    return FakeState(loop_now)


async def test_the_next_process_finds_them_and_embeds_the_rest(store: FakeState) -> None:
    first = await Process(store).embed("a", "b", "a")
    after = Process(store)
    again = await after.embed("b", "c", "a", "b")
    assert (after.embedded, again.cached) == (["c"], 3)
    assert list(again.vectors[0]) == list(again.vectors[3]) == list(first.vectors[1])
    assert list(again.vectors[2]) == list(first.vectors[0])
    assert again.vectors[0].format == "f"
    after.way.faults.away = True
    assert (await after.embed("a", "c")).cached == 2  # from memory


async def test_tenants_questions_and_documents_are_apart(store: FakeState) -> None:
    await Process(store).embed("a")
    other = Process(store)
    await other.embed("a", tenant=TenantId("rival"))
    await other.embed("a", kind=TextKind.DOCUMENT)
    assert len(other.embedded) == 2


async def test_a_store_that_is_away_has_none(store: FakeState) -> None:
    await Process(store).embed("a")
    one = Process(store)
    one.way.faults.away = True
    assert len((await one.embed("a")).vectors) == 1
    assert one.embedded == ["a"]


@pytest.mark.parametrize("body", [b"", b"\x02", b"\x01\x00\x00", b"\x01" + bytes(400)])
async def test_one_of_another_format_or_length_is_not_taken(store: FakeState, body: bytes) -> None:
    await Process(store).embed("a")
    (row,) = store.tables.cached.values()
    async with store.transaction(EVERY_TENANT) as tx:
        tx.cached.put(replace(row, body=body))
    one = Process(store)
    await one.embed("a")
    assert one.embedded == ["a"]
    two = Process(store)
    await two.embed("a")
    assert two.embedded == []


async def test_they_expire(store: FakeState) -> None:
    one = Process(store)
    await one.embed("a")
    (row,) = store.tables.cached.values()
    async with store.transaction(EVERY_TENANT) as tx:
        tx.cached.put(replace(row, expires_at=loop_now()))
    two = Process(store)
    await two.embed("a")
    assert two.embedded == ["a"]
