"""What a Reranking does, in this process or behind a connection: the caller can't tell."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.grpc.clients.channel import MeshTarget, open_channel
from adapters.grpc.clients.gateway import SERVICE
from adapters.grpc.clients.reranking import RerankingClient
from core.budgets.rules import BudgetRule, Period
from core.call import Call
from core.clock import Clock
from core.errors import (
    BudgetSpent,
    DeadlineExceeded,
    FeatureUnsupported,
    ModelsUnavailable,
    NotFound,
)
from core.generation import ModelError, ModelErrorKind, TokenUsage
from core.identifiers import ApiKeyId, CallId, Seconds
from core.ports.gateway_observer import AttemptEnded, QuietGateway
from core.ports.reranking import Reranking
from core.prices import Prices
from core.principal import Principal
from core.reranking import Ranked, Reranked, RerankOrder
from core.trace import TraceContext
from core.turns.rows import LedgerLine
from fakes.budgets import a_process
from fakes.far_gateway import MESH_SECRET, gateway_server, let_in
from fakes.gateway_node import gateway_node
from fakes.reranker import FakeReranker
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN, loop_clock, loop_now
from services.models.attempts import Attempts
from services.models.reranking import BookedReranking, RerankerEntry, Rerankers

DOLLAR_A_TOKEN = Prices(Decimal(1_000_000), Decimal(0))
ORDER = RerankOrder("lighthouse keeper", ("bread", "a lighthouse", "the lighthouse keeper"))
TRACE = TraceContext("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1")
DOWN = ModelError(ModelErrorKind.OVERLOADED, "busy", retry_after=Seconds(7.0))


class Told(QuietGateway):
    """What operators are told."""

    def __init__(self) -> None:
        self.ended: list[AttemptEnded] = []

    def attempt_ended(self, ended: AttemptEnded) -> None:
        self.ended.append(ended)


@dataclass
class Node:
    reranking: Reranking
    state: FakeState
    clock: Clock
    told: Told

    async def rerank(self, order: RerankOrder = ORDER, within: float = 10.0) -> Reranked:
        principal = Principal(ACME, ANN, ApiKeyId("k"), frozenset({"*"}))
        deadline = Seconds(self.clock.monotonic() + within)
        call = Call(principal, CallId("c"), deadline, trace=TRACE)
        made = await self.reranking.rerank(call, order)
        assert (call.facts.model_version, call.facts.cost) == (made.model, made.cost)
        return made

    async def ledger(self, unit: str = "rank-1") -> Sequence[LedgerLine]:
        async with self.state.snapshot(ACME) as view:
            return await view.spending.lines(unit)


Open = Callable[..., Awaitable[Node]]


def entry(name: str, reranker: FakeReranker, **changes: Any) -> RerankerEntry:
    return RerankerEntry(name, reranker, **{"prices": DOLLAR_A_TOKEN, **changes})


@pytest.fixture(params=["in process", "another process's"])
async def open_node(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(*entries: RerankerEntry, budgets: Sequence[BudgetRule] = ()) -> Node:
            clock, state, ids = loop_clock(), FakeState(loop_now), itertools.count(1)
            money = a_process(state, budgets, clock)
            made = BookedReranking(
                Rerankers(entries),
                Attempts(state),
                clock,
                lambda prefix: f"{prefix}-{next(ids)}",
                money.book,
                told := Told(),
            )
            near = Node(made, state, clock, told)
            if request.param == "in process":
                return near
            await let_in(state)
            server = gateway_server(gateway_node().gateway, state, clock, reranking=made)
            address, _ = await stack.enter_async_context(server)
            channel = open_channel(MeshTarget((address,), SERVICE))
            stack.push_async_callback(channel.close)
            return replace(near, reranking=RerankingClient(channel, lambda: MESH_SECRET, clock))

        yield opened


async def test_the_best_comes_first_and_is_booked_at_its_price(open_node: Open) -> None:
    node = await open_node(entry("paid", FakeReranker()))
    made = await node.rerank(replace(ORDER, limit=2, feature="search"))
    assert made == Reranked(
        "paid",
        (Ranked(2, 1.0), Ranked(1, 0.5)),
        TokenUsage(12, 0),
        Decimal(12),
        "USD",
    )
    (line,) = await node.ledger()
    assert (line.usage, line.cost, line.feature, line.deployment, line.model) == (
        TokenUsage(12, 0),
        Decimal(12),
        "search",
        "paid",
        "fake-reranker",
    )


async def test_the_callers_trace_goes_along(open_node: Open) -> None:
    reranker = FakeReranker()
    await (await open_node(entry("paid", reranker))).rerank()
    assert reranker.traces == [TRACE]


async def test_operators_are_told_of_every_call(open_node: Open) -> None:
    broken = FakeReranker()
    broken.broken = DOWN
    node = await open_node(entry("first", broken), entry("second", FakeReranker()))
    await node.rerank()
    told = [(each.deployment.name, each.operation, each.outcome) for each in node.told.ended]
    assert told == [("first", "rerank", "overloaded"), ("second", "rerank", "ok")]
    assert node.told.ended[1].cost == Decimal(12)


async def test_a_price_of_the_call_is_paid_once(open_node: Open) -> None:
    silent = FakeReranker()
    silent.counts = False
    prices = Prices(Decimal(0), Decimal(0), request=Decimal("0.002"))
    node = await open_node(entry("paid", silent, prices=prices))
    made = await node.rerank()
    assert (made.cost, made.estimated) == (Decimal("0.002"), True)
    (line,) = await node.ledger()
    assert line.cost == Decimal("0.002")


async def test_an_unknown_price_is_not_zero(open_node: Open) -> None:
    node = await open_node(entry("paid", FakeReranker(), prices=Prices()))
    assert (await node.rerank()).cost is None


async def test_the_next_is_asked_where_one_fails(open_node: Open) -> None:
    broken, other = FakeReranker(), FakeReranker("other")
    broken.broken = DOWN
    node = await open_node(entry("first", broken), entry("second", other))
    assert (await node.rerank()).model == "second"
    assert [line.deployment for line in await node.ledger()] == ["first", "second"]


async def test_one_that_is_named_is_asked_alone(open_node: Open) -> None:
    broken, other = FakeReranker(), FakeReranker("other")
    node = await open_node(entry("first", broken), entry("second", other))
    for name in ("second", "other"):
        assert (await node.rerank(replace(ORDER, model=name))).model == "second"
    assert not broken.calls
    broken.broken = DOWN
    with pytest.raises(ModelsUnavailable) as caught:
        await node.rerank(replace(ORDER, model="first"))
    assert caught.value.attempts == (("first", "overloaded"),)
    assert caught.value.retry_after == 7.0


async def test_what_there_is_not(open_node: Open) -> None:
    with pytest.raises(FeatureUnsupported):
        await (await open_node()).rerank()
    node = await open_node(entry("first", FakeReranker()))
    with pytest.raises(NotFound):
        await node.rerank(replace(ORDER, model="gone"))


async def test_a_budget_is_not_exceeded(open_node: Open) -> None:
    rule = BudgetRule("daily", Decimal(1), Period.DAY)
    reranker = FakeReranker()
    node = await open_node(entry("paid", reranker), budgets=[rule])
    with pytest.raises(BudgetSpent) as caught:
        await node.rerank()
    assert caught.value.budget == "daily"
    assert not reranker.calls


async def test_it_ends_by_the_callers_deadline(open_node: Open) -> None:
    slow = FakeReranker()
    slow.waits = 60.0
    node = await open_node(entry("slow", slow))
    with pytest.raises(DeadlineExceeded):
        await node.rerank(within=0.2)
    assert slow.running == 0


async def test_a_slow_one_has_its_own_time_and_then_the_next_is_asked(open_node: Open) -> None:
    slow, quick = FakeReranker(), FakeReranker("quick")
    slow.waits = 60.0
    node = await open_node(entry("slow", slow, timeout=Seconds(0.05)), entry("quick", quick))
    assert (await node.rerank()).model == "quick"


async def test_a_cancel_stops_it_and_is_booked(open_node: Open) -> None:
    slow = FakeReranker()
    slow.waits = 60.0
    node = await open_node(entry("slow", slow))
    task = asyncio.create_task(node.rerank())
    async with asyncio.timeout(2):
        while not slow.running:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while slow.running or not (lines := await node.ledger()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert [line.estimated for line in lines] == [True]
