"""Vectors for callers: known ones come from the tenant's cache, paid ones are booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from core.budgets.rules import BudgetRule, Period
from core.call import Call
from core.errors import BudgetSpent, NotFound, Unavailable
from core.generation import TokenUsage
from core.identifiers import ApiKeyId, CallId, Seconds, TenantId
from core.ports.embedder import Embedded, TextKind
from core.prices import Prices
from core.principal import Principal
from core.turns.rows import LedgerLine
from fakes.budgets import a_process
from fakes.embedder import FakeEmbedder
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN, loop_clock, loop_now
from services.embedders import Embedders
from services.models.attempts import Attempts
from services.models.embedding import EmbeddedTexts, Embedding, EmbeddingCache

PRICE = Prices(Decimal(1_000_000), Decimal(0))
QUERY, DOCUMENT = TextKind.QUERY, TextKind.DOCUMENT


class PaidEmbedder(FakeEmbedder):
    """Counts a token a word; `counts` False: its server does not say."""

    counts = True

    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        vectors = await self.embed(texts, kind)
        words = sum(len(text.split()) for text in texts)
        return Embedded(vectors, words if self.counts else None)


@dataclass
class Node:
    embedder: FakeEmbedder
    most_bytes: int = 1_000_000
    budgets: Sequence[BudgetRule] = ()
    price: Prices = PRICE
    state: FakeState = field(default_factory=lambda: FakeState(loop_now))

    def __post_init__(self) -> None:
        numbers = iter(range(1, 100))
        self.money = a_process(self.state, self.budgets, loop_clock())
        self.embedding = Embedding(
            Embedders({"paid": self.embedder}, "paid", {"paid": self.price}),
            Attempts(self.state),
            EmbeddingCache(self.most_bytes),
            lambda prefix: f"{prefix}-{next(numbers)}",
            self.money.book,
        )

    async def embed(
        self, *texts: str, kind: TextKind = QUERY, tenant: TenantId = ACME, model: str = ""
    ) -> EmbeddedTexts:
        return await self.embedding.embed(self.call(tenant), texts, kind, model, "search")

    def call(self, tenant: TenantId = ACME) -> Call:
        principal = Principal(tenant, ANN, ApiKeyId("k"), frozenset({"*"}))
        return Call(principal, CallId("c"), Seconds(60.0))

    async def ledger(self, unit: str) -> Sequence[LedgerLine]:
        async with self.state.snapshot(ACME) as view:
            return await view.spending.lines(unit)


async def test_what_was_counted_is_booked_at_its_price() -> None:
    node = Node(PaidEmbedder())
    made = await node.embed("two words", "one")
    assert made.spent is not None
    assert (made.spent.usage.prompt, made.spent.cost) == (3, Decimal(3))
    (line,) = await node.ledger("emb-1")
    assert (line.usage, line.cost, line.feature, line.deployment) == (
        TokenUsage(3, 0),
        Decimal(3),
        "search",
        "paid",
    )


async def test_known_texts_cost_nothing_and_equal_ones_are_embedded_once() -> None:
    node = Node(PaidEmbedder())
    first = await node.embed("a", "b", "a")
    assert [text for text, _ in node.embedder.embedded] == ["a", "b"]
    assert first.vectors[0] == first.vectors[2]
    again = await node.embed("b", "c", "a")
    assert [text for text, _ in node.embedder.embedded] == ["a", "b", "c"]
    assert again.spent is not None
    assert (again.cached, again.spent.usage.prompt) == (2, 1)
    assert again.vectors[0] == first.vectors[1]
    assert again.vectors[2] == first.vectors[0]


async def test_the_cache_is_the_tenants_and_knows_questions_from_documents() -> None:
    node = Node(PaidEmbedder())
    await node.embed("a")
    await node.embed("a", tenant=TenantId("rival"))
    await node.embed("a", kind=DOCUMENT)
    assert len(node.embedder.embedded) == 3


async def test_its_memory_is_bounded() -> None:
    node = Node(PaidEmbedder(), most_bytes=2 * 256 * 4)
    for text in ("a", "b", "c", "a"):
        await node.embed(text)
    assert [text for text, _ in node.embedder.embedded] == ["a", "b", "c", "a"]


async def test_without_a_count_it_is_booked_as_an_estimate_and_no_usage_is_told() -> None:
    embedder = PaidEmbedder()
    embedder.counts = False
    node = Node(embedder)
    made = await node.embed("a word")
    assert made.spent is not None
    assert (made.spent.usage.prompt, made.spent.cost) == (None, None)
    (line,) = await node.ledger("emb-1")
    assert line.estimated


async def test_one_that_cannot_count_books_nothing() -> None:
    node = Node(FakeEmbedder())
    assert (await node.embed("a")).spent is None
    assert await node.ledger("emb-1") == []


async def test_one_of_this_process_is_counted_and_costs_nothing() -> None:
    node = Node(PaidEmbedder(), price=Prices(Decimal(0), Decimal(0)))
    made = await node.embed("two words")
    assert made.spent is not None
    assert (made.spent.usage.prompt, made.spent.cost) == (2, Decimal(0))
    (line,) = await node.ledger("emb-1")
    assert (line.usage.prompt, line.cost, line.estimated) == (2, Decimal(0), False)


async def test_a_failure_is_on_record() -> None:
    embedder = PaidEmbedder()
    embedder.missing = True
    node = Node(embedder)
    with pytest.raises(Unavailable):
        await node.embed("a word")
    (line,) = await node.ledger("emb-1")
    assert line.estimated


async def test_a_budget_holds_here_too() -> None:
    node = Node(PaidEmbedder(), budgets=[BudgetRule("b", Decimal(3), Period.DAY)])
    await node.embed("a")
    with pytest.raises(BudgetSpent):
        await node.embed("three more words")


async def test_an_unknown_one_is_not_found() -> None:
    with pytest.raises(NotFound):
        await Node(PaidEmbedder()).embed("a", model="gone")


class TestOnBehalf:
    async def test_what_others_embed_for_a_caller_is_booked_to_the_caller(self) -> None:
        node = Node(PaidEmbedder())
        embedder = node.embedding.on_behalf(node.call(), node.embedder, "ingestion")
        assert (embedder.name, embedder.dimensions) == (node.embedder.name, 256)
        assert len(await embedder.embed(["two words", "one"], DOCUMENT)) == 2
        assert await embedder.embed([], DOCUMENT) == []
        (line,) = await node.ledger("emb-1")
        assert (line.user, line.feature, line.usage.prompt, line.cost) == (
            ANN,
            "ingestion",
            3,
            Decimal(3),
        )

    async def test_a_budget_holds_for_it(self) -> None:
        node = Node(PaidEmbedder(), budgets=[BudgetRule("b", Decimal(3), Period.DAY)])
        embedder = node.embedding.on_behalf(node.call(), node.embedder, "ingestion")
        with pytest.raises(BudgetSpent):
            await embedder.embed(["more words than are paid for"], DOCUMENT)

    async def test_where_nobody_is_paid_it_is_the_embedder_itself(self) -> None:
        free = Node(PaidEmbedder(), price=Prices(Decimal(0), Decimal(0)))
        assert free.embedding.on_behalf(free.call(), free.embedder, "x") is free.embedder
        silent = Node(FakeEmbedder())
        assert silent.embedding.on_behalf(silent.call(), silent.embedder, "x") is silent.embedder
