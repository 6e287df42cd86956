"""One hard budget, spent by two processes that share a store and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from core.budgets.rules import BudgetRule, Period, Subject
from core.clock import Clock
from core.errors import BudgetSpent
from core.generation import TokenUsage
from core.identifiers import ApiKeyId, Seconds, TenantId, UserId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State
from core.principal import Principal
from core.turns.rows import Attempt
from fakes.budgets import BudgetProcess, a_process, accounts_of, spent
from fakes.bus import FakeExchange
from fakes.state import FakeState
from fakes.turn_node import a_model
from services.models.attempts import Attempts
from services.models.spending import Reservation

ANN = Principal(TenantId("acme"), UserId("ann"), ApiKeyId("key-1"), frozenset({"*"}))
MODEL = a_model(price="1000000").deployment  # 1 a token: a prompt of 4 and 2 of output cost 6
DAILY = BudgetRule("daily", Decimal(60), Period.DAY)


class Hand:
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 3, 12, tzinfo=UTC)
        self.clock = Clock(lambda: self.at, lambda: Seconds(self.at.timestamp()))

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Process:
    """A process with a handle of its own on the store."""

    state: State
    attempts: Attempts
    money: BudgetProcess
    name: str
    calls: int = 0

    async def begin(self, principal: Principal = ANN) -> Call:
        """As the gateway does right before a call. Raises BudgetSpent."""
        self.calls += 1
        unit = SpendingUnit(f"{self.name}-{self.calls}", principal.tenant, principal.user, "chat")
        reservation = await self.money.book.reserve(principal, unit, MODEL, 4, 2)
        unit = unit.paid(principal.key, reservation.holder if reservation else "")
        attempt = await self.attempts.begin(unit, MODEL, 4, 2)
        if reservation is not None:
            self.money.book.require(reservation)
        return Call(self, unit, attempt, reservation)


@dataclass
class Call:
    process: Process
    unit: SpendingUnit
    attempt: Attempt
    reservation: Reservation | None

    async def end(self, output: int) -> int:
        """It wrote so many tokens. Returns what it cost."""
        if self.reservation is not None:
            self.process.money.book.settle(self.reservation, Decimal(4 + output))
        used = replace(self.attempt, used=TokenUsage(4, output))
        await self.process.attempts.end(used, self.unit, MODEL)
        return 4 + output


Store = Callable[[pytest.FixtureRequest, Hand], Awaitable[list[State]]]


async def _fakes(_: pytest.FixtureRequest, hand: Hand) -> list[State]:
    state = FakeState(lambda: hand.at)
    return [state, state]


async def _sqlite(request: pytest.FixtureRequest, hand: Hand) -> list[State]:
    path: Path = request.getfixturevalue("tmp_path") / "state.sqlite"
    return [await open_sqlite(SqliteOptions(path, now=lambda: hand.at)) for _ in range(2)]


async def _postgres(request: pytest.FixtureRequest, hand: Hand) -> list[State]:
    url: str = request.getfixturevalue("postgres_url")
    return [await open_postgres(PostgresOptions(url, now=lambda: hand.at)) for _ in range(2)]


@pytest.fixture(params=[_fakes, _sqlite, _postgres], ids=["fake", "sqlite", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[tuple[list[State], Hand]]:
    store: Store = request.param
    hand = Hand()
    states = await store(request, hand)
    yield states, hand
    for state in states:
        await state.close()


@asynccontextmanager
async def two(
    stores: tuple[list[State], Hand], rule: BudgetRule = DAILY
) -> AsyncIterator[tuple[Process, Process, Hand]]:
    states, hand = stores
    exchange = FakeExchange()
    made = [
        Process(
            state,
            Attempts(state),
            a_process(state, [rule], hand.clock, f"boot-{n}", exchange.replica()),
            f"p{n}",
        )
        for n, state in enumerate(states)
    ]
    yield made[0], made[1], hand


async def test_parallel_requests_of_both_cannot_overrun_it(
    stores: tuple[list[State], Hand],
) -> None:
    """Elsewhere: budgets per replica leak past the cap (bifrost 3547)."""
    draw = random.Random(7)
    async with two(stores) as (one, other, hand):

        async def request(process: Process) -> int:
            try:
                call = await process.begin()
            except BudgetSpent:
                return 0
            await asyncio.sleep(0.0005 * draw.random())
            return await call.end(draw.randint(0, 2))

        costs = await asyncio.gather(*[request(draw.choice([one, other])) for _ in range(40)])
        first = sum(costs)
        assert 36 <= first <= 60
        for process in (one, other):
            await process.money.report()
        assert await spent(one.state, DAILY, hand.clock) == {"daily": first}
        last = [await request(other) for _ in range(20)]  # what was held is free again
        assert 55 <= first + sum(last) <= 60


async def test_what_was_spent_is_still_spent_after_a_restart(
    stores: tuple[list[State], Hand],
) -> None:
    async with two(stores) as (one, other, hand):
        for _ in range(9):
            await (await one.begin()).end(2)
        await one.money.report()
        await (await other.begin()).end(2)
        with pytest.raises(BudgetSpent) as refused:
            await other.begin()
        assert refused.value.metadata["spent"] == "60"
        assert refused.value.retry_after == Seconds(12 * 3600)
        hand.move(12 * 3600)
        await (await other.begin()).end(0)


async def test_of_one_that_died_exactly_what_the_ledger_says_is_spent(
    stores: tuple[list[State], Hand],
) -> None:
    """Elsewhere: leaked reservations block users (litellm 27639)."""
    async with two(stores) as (one, other, hand):
        for _ in range(3):
            await (await one.begin()).end(1)  # told to nobody
        lost = await one.begin()  # and killed
        hand.move(31)
        for _ in range(6):
            await (await other.begin()).end(2)  # 15 + 36, and 6 that the open one may come to
        with pytest.raises(BudgetSpent) as refused:
            await other.begin()
        assert refused.value.metadata["held"] == "6"
        await other.attempts.end(replace(lost.attempt, used=TokenUsage(4, 0)), lost.unit, MODEL)
        hand.move(6)
        await other.money.accounts.keep_once()
        await other.money.report()
        with pytest.raises(BudgetSpent):
            await other.begin()
        assert await spent(one.state, DAILY, hand.clock) == {"daily": 15 + 36 + 4}
        (row,) = await accounts_of(one.state, DAILY)
        assert [lease.amount for lease in row.account.leases.values() if lease.amount] == []


async def test_one_that_was_stopped_for_long_begins_no_call(
    stores: tuple[list[State], Hand],
) -> None:
    async with two(stores) as (one, other, hand):
        unit = SpendingUnit("late", ANN.tenant, ANN.user)
        held = await one.money.book.reserve(ANN, unit, MODEL, 4, 2)
        assert held is not None
        hand.move(40)
        await (await other.begin()).end(2)
        with pytest.raises(BudgetSpent, match="lost its lease"):
            one.money.book.require(held)
        await (await one.begin()).end(2)  # under another name
        for process in (one, other):
            await process.money.report()
        assert await spent(one.state, DAILY, hand.clock) == {"daily": 12}


async def test_a_threshold_is_told_once_by_one_of_them(stores: tuple[list[State], Hand]) -> None:
    rule = replace(DAILY, each=frozenset({Subject.TENANT, Subject.KEY}))
    async with two(stores, rule) as (one, other, hand):
        for _ in range(5):
            for process in (one, other):
                await (await process.begin()).end(1)
                hand.move(6)
                await asyncio.gather(*(p.money.accounts.keep_once() for p in (one, other)))
        told = [*one.money.alerts, *other.money.alerts]
        assert [str(alert.threshold) for alert in sorted(told, key=lambda a: a.at)] == [
            "0.5",
            "0.8",
        ]
        assert {alert.budget for alert in told} == {"daily?key=key-1&tenant=acme"}
        async with one.state.snapshot(ANN.tenant) as view:
            kept = await view.budgets.alerts("daily?key=key-1&tenant=acme", 9)
        assert sorted(kept, key=lambda a: a.at) == sorted(told, key=lambda a: a.at)


async def test_a_request_far_from_the_limit_costs_no_transaction_of_its_own(
    stores: tuple[list[State], Hand],
) -> None:
    rule = replace(DAILY, limit=Decimal(10_000))
    unit = SpendingUnit("u", ANN.tenant, ANN.user)
    async with two(stores, rule) as (one, _, _hand):
        for _ in range(3):
            assert await one.money.book.reserve(ANN, unit, MODEL, 4, 2) is not None
        (before,) = await accounts_of(one.state, rule)
        for _ in range(100):
            reservation = await one.money.book.reserve(ANN, unit, MODEL, 4, 2)
            assert reservation is not None
            one.money.book.settle(reservation, Decimal(6))
        assert await accounts_of(one.state, rule) == [before]
