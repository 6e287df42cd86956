"""A process's slices of the budgets: lost replies, a store that is away, names that end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.budgets.rules import BudgetRule, Period, Subject
from core.clock import Clock
from core.errors import BudgetSpent
from core.generation import TokenUsage
from core.identifiers import ApiKeyId, TenantId, UserId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import EVERY_TENANT, StoreUnavailable
from core.principal import Principal
from fakes.budgets import BudgetProcess, a_process, accounts_of, spent
from fakes.bus import FakeExchange
from fakes.state import CommitFault, FakeState
from fakes.turn_node import a_model, loop_clock, loop_now
from fakes.virtual_time import VirtualTimeLoop
from services.models.attempts import Attempts
from services.models.spending import Reservation

ANN = Principal(TenantId("acme"), UserId("ann"), ApiKeyId("key-1"), frozenset({"*"}))
UNIT = SpendingUnit("u", ANN.tenant, ANN.user)
MODEL = a_model(price="1000000").deployment  # 1 a token
LARGE = BudgetRule("large", Decimal(1000), Period.DAY)


@dataclass
class Node:
    rule: BudgetRule = LARGE
    state: FakeState = field(default_factory=lambda: FakeState(loop_now))
    exchange: FakeExchange = field(default_factory=FakeExchange)

    def __post_init__(self) -> None:
        self.clock: Clock = loop_clock()
        self.one = self.process("one")

    def process(self, boot: str) -> BudgetProcess:
        return a_process(self.state, [self.rule], self.clock, boot, self.exchange.replica())

    async def reserve(self, tokens: int = 6, process: BudgetProcess | None = None) -> Reservation:
        book = (process or self.one).book
        made = await book.reserve(ANN, UNIT, MODEL, tokens, 0)
        assert made is not None
        return made

    async def spend(self, tokens: int = 6, process: BudgetProcess | None = None) -> None:
        made = await self.reserve(tokens, process)
        (process or self.one).book.settle(made, Decimal(tokens))

    async def leased(self) -> Decimal:
        return sum((row.account.leased for row in await accounts_of(self.state, self.rule)), NONE)


NONE = Decimal(0)


async def test_a_lost_reply_counts_once() -> None:
    node = Node()
    await node.spend()
    await node.spend()
    node.state.faults.fail_commits(CommitFault.REPLY_LOST, touching="budgets")
    await asyncio.sleep(6)
    with pytest.raises(StoreUnavailable):
        await node.one.accounts.keep_once()
    await node.spend()  # waits for what is in doubt
    await node.one.report()
    assert await spent(node.state, LARGE, node.clock) == {"large": 18}


async def test_a_slice_is_spent_while_the_store_is_away_and_told_afterwards() -> None:
    node = Node()
    await node.spend()
    await node.spend()
    keeping = asyncio.create_task(node.one.accounts.keep())
    node.state.faults.away = True
    for _ in range(10):
        await node.spend()
        await asyncio.sleep(1)
    await asyncio.sleep(15)
    with pytest.raises(StoreUnavailable):  # the slice has run out
        await node.spend()
    node.state.faults.away = False
    await asyncio.sleep(3)
    await node.spend()
    await asyncio.sleep(8)
    keeping.cancel()
    assert await spent(node.state, LARGE, node.clock) == {"large": 13 * 6}


async def test_what_is_not_used_is_given_back_within_seconds() -> None:
    node = Node()
    await node.spend()
    await node.spend()
    assert await node.leased() > 100
    keeping = asyncio.create_task(node.one.accounts.keep())
    await asyncio.sleep(8)
    assert await node.leased() == 0
    assert await spent(node.state, LARGE, node.clock) == {"large": 12}
    await node.spend()
    held = await node.reserve()
    await asyncio.sleep(60)  # it is renewed as long as a call is under way
    node.one.book.require(held)
    assert await node.leased() == 6
    keeping.cancel()


async def test_near_the_limit_another_gives_back_what_it_does_not_use() -> None:
    rule = replace(LARGE, limit=Decimal(100))
    node = Node(rule)
    other = node.process("other")
    keeping = [asyncio.create_task(each.accounts.keep()) for each in (node.one, other)]
    await node.spend(1)
    await node.spend(1)  # a slice of some 24 is held for more of these
    with pytest.raises(BudgetSpent) as refused:
        await node.spend(90, other)
    assert refused.value.retry_after == pytest.approx(2)
    assert "calls under way" in refused.value.message
    await asyncio.sleep(2)
    await node.spend(90, other)
    for each in keeping:
        each.cancel()


async def test_a_name_ends_and_what_was_spent_under_it_stays() -> None:
    node = Node()
    keeping = asyncio.create_task(node.one.accounts.keep())
    held = await node.reserve()
    first = held.holder
    await asyncio.sleep(901)
    later = await node.reserve()
    assert later.holder != first
    await asyncio.sleep(2)
    (row,) = await accounts_of(node.state, LARGE)
    assert set(row.account.leases) == {first, later.holder}  # a call goes on under the old one
    for each in (held, later):
        node.one.book.require(each)
        node.one.book.settle(each, Decimal(5))
    await asyncio.sleep(8)
    (row,) = await accounts_of(node.state, LARGE)
    assert set(row.account.leases) == {later.holder}
    assert await spent(node.state, LARGE, node.clock) == {"large": 10}
    keeping.cancel()


async def test_new_rules_count_for_the_next_call() -> None:
    node = Node()
    await node.spend(6)
    node.one.book.adopt([replace(LARGE, limit=Decimal(10))])
    with pytest.raises(BudgetSpent):
        await node.spend(6)
    node.one.book.adopt([])
    assert await node.one.book.reserve(ANN, UNIT, MODEL, 6, 0) is None


async def test_every_budget_that_covers_it_must_have_room() -> None:
    node = Node()
    narrow = BudgetRule("each", Decimal(20), Period.DAY, each=frozenset({Subject.KEY}))
    node.one.book.adopt([LARGE, narrow])
    for _ in range(3):
        await node.spend(6)
    with pytest.raises(BudgetSpent) as refused:
        await node.spend(6)
    assert refused.value.budget == "each"
    other = replace(ANN, key=ApiKeyId("key-2"))
    made = await node.one.book.reserve(other, UNIT, MODEL, 6, 0)
    assert made is not None
    node.one.book.settle(made, Decimal(6))
    await node.one.report()
    assert await spent(node.state, LARGE, node.clock) == {"large": 24}
    assert await spent(node.state, narrow, node.clock) == {
        "each?key=key-1": 18,
        "each?key=key-2": 6,
    }


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    node = Node(replace(LARGE, limit=Decimal(10)))
    for steps in range(8):
        task = asyncio.create_task(node.reserve())
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            await asyncio.wait({task})
        else:
            node.one.book.release(task.result())
    await node.spend(10)


SMALL = BudgetRule("small", Decimal(40), Period.MINUTE)
Plan = tuple[int, int, int, float, float]
plans = st.tuples(
    st.integers(0, 2),  # which process
    st.integers(1, 12),  # what it may cost
    st.integers(0, 4),  # what part it costs, in quarters
    st.sampled_from([0.0, 0.001, 5.0, 20.0]),  # when it begins
    st.sampled_from([0.0, 0.002, 8.0, 50.0]),  # how long it takes
)


@given(st.lists(plans, min_size=5, max_size=25), st.sets(st.integers(0, 2), max_size=2))
@settings(max_examples=12)
def test_no_interleaving_of_three_processes_overruns_it(calls: list[Plan], die: set[int]) -> None:
    """Some of them die at 15 s; others book what they had begun, by what it could cost."""
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(_play(calls, die))
        loop.run_until_complete(_kill(list(asyncio.all_tasks(loop))))
    finally:
        loop.close()


async def _play(calls: list[Plan], die: set[int]) -> None:
    node = Node(SMALL)
    processes = [node.process(f"boot-{n}") for n in range(3)]
    tasks: dict[int, list[asyncio.Task[Any]]] = {
        n: [asyncio.create_task(each.accounts.keep())] for n, each in enumerate(processes)
    }
    attempts = Attempts(node.state)

    async def call(number: int, plan: Plan) -> None:
        which, most, quarters, begins, takes = plan
        await asyncio.sleep(begins)
        money, unit = processes[which].book, replace(UNIT, id=f"u{number}")
        try:
            made = await money.reserve(ANN, unit, MODEL, most, 0)
        except BudgetSpent:
            return
        assert made is not None
        unit = unit.paid(ANN.key, made.holder)
        attempt = await attempts.begin(unit, MODEL, most, 0)
        money.require(made)
        await asyncio.sleep(takes)
        cost = most * quarters // 4
        money.settle(made, Decimal(cost))
        await attempts.end(replace(attempt, used=TokenUsage(cost, 0)), unit, MODEL)

    for number, plan in enumerate(calls):
        tasks[plan[0]].append(asyncio.create_task(call(number, plan)))
    for second in range(80):
        await asyncio.sleep(1)
        if second == 15:
            await _kill([task for n in die for task in tasks[n]])
        await _check(node)


async def _kill(tasks: list[asyncio.Task[Any]]) -> None:
    """What they had in memory is gone; what they had begun stays open on record."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _check(node: Node) -> None:
    """What the record says, with what open attempts may come to, is within the limit."""
    begun = [f"u{number}" for number in range(25)]
    total = NONE
    now = node.clock.now()
    async with node.state.snapshot(EVERY_TENANT) as view:
        for unit in begun:
            lines = {line.attempt: line for line in await view.spending.lines(unit)}
            for attempt in await view.spending.attempts(unit):
                line = lines.get(attempt.number)
                if line is None:
                    total += attempt.reserved or NONE
                elif (line.booked_at.hour, line.booked_at.minute) == (now.hour, now.minute):
                    total += line.cost or NONE
    assert total <= SMALL.limit
