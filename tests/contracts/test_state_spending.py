"""Attempts, the ledger and execution records in every store."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.state_samples import (
    ACME,
    OTHER,
    a_conversation,
    a_line,
    a_turn_on,
    an_attempt,
    an_execution,
    later,
)
from core.generation import TokenUsage
from core.identifiers import ApiKeyId, TurnId, UserId
from core.ports.state import EVERY_TENANT, State, StoreConflict
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine

EXACT = Decimal("0.1000000000000000000000000001")


async def attempts(state: State, unit: str = "turn-1") -> list[Attempt]:
    async with state.snapshot(ACME) as tx:
        return list(await tx.spending.attempts(unit))


async def lines(state: State, unit: str = "turn-1") -> list[LedgerLine]:
    async with state.snapshot(ACME) as tx:
        return list(await tx.spending.lines(unit))


async def book(state: State, *booked: LedgerLine) -> None:
    for line in booked:
        async with state.transaction(ACME) as tx:
            tx.spending.book(line)


class TestAttempts:
    async def test_come_back_as_they_were_in_order_of_number(self, state: State) -> None:
        third = replace(an_attempt(3), reserved=EXACT, user=UserId("bob"), feature="help")
        second = replace(an_attempt(2), reserved=None, error="overloaded", output_bytes=7)
        async with state.transaction(ACME) as tx:
            tx.spending.begin(third)
            tx.spending.begin(second)
            tx.spending.begin(an_attempt(1, unit="call-9"))
        assert await attempts(state) == [second, third]
        assert await attempts(state, "call-9") == [an_attempt(1, unit="call-9")]

    async def test_a_number_is_taken_once(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            tx.spending.begin(an_attempt())
        with pytest.raises(StoreConflict):
            async with state.transaction(ACME) as tx:
                tx.spending.begin(replace(an_attempt(), epoch=2))
        assert await attempts(state) == [an_attempt()]

    async def test_an_update_replaces_one(self, state: State) -> None:
        ended = replace(an_attempt(), used=TokenUsage(9, 4, None, 0), booked=True, output_bytes=11)
        async with state.transaction(ACME) as tx:
            tx.spending.begin(an_attempt())
            tx.spending.update(ended)
            tx.spending.update(an_attempt(2))
        assert await attempts(state) == [ended]


class TestLedger:
    async def test_lines_come_back_as_they_were_in_order_of_attempt(self, state: State) -> None:
        unknown = replace(a_line(2, None), usage=TokenUsage())
        exact = replace(a_line(1), cost=EXACT, currency="CHF")
        await book(state, unknown, exact, replace(a_line(), unit="call-9"))
        assert await lines(state) == [exact, unknown]

    async def test_what_is_booked_stays(self, state: State) -> None:
        await book(state, a_line(cost="1"), a_line(cost="2"), a_line(cost="3", estimated=True))
        assert await lines(state) == [a_line(cost="1")]

    async def test_an_estimate_is_replaced_by_the_truth_once(self, state: State) -> None:
        await book(state, a_line(cost="9", estimated=True), a_line(cost="1"), a_line(cost="2"))
        assert await lines(state) == [a_line(cost="1")]

    async def test_zero_is_not_unknown(self, state: State) -> None:
        await book(state, a_line(1, "0"), a_line(2, None))
        assert [line.cost for line in await lines(state)] == [Decimal(0), None]


class TestExecutions:
    async def test_a_record_comes_back_as_it_was(self, state: State) -> None:
        assert await self.recorded(state, an_execution()) == an_execution()

    async def test_a_repeat_replaces_it(self, state: State) -> None:
        again = replace(
            an_execution(),
            first_event_ms=3.25,
            cost=EXACT,
            retrieved=(),
            tool_calls=("search",),
            details=(),
        )
        assert await self.recorded(state, an_execution(), again) == again

    async def test_there_is_none_of_an_unknown_turn(self, state: State) -> None:
        assert await self.recorded(state) is None

    async def recorded(self, state: State, *records: ExecutionRecord) -> ExecutionRecord | None:
        for record in records:
            async with state.transaction(ACME) as tx:
                tx.spending.record(record)
        async with state.snapshot(ACME) as tx:
            return await tx.spending.execution(TurnId("turn-1"))


async def test_what_was_spent_stays_when_the_conversation_goes(state: State) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())
        tx.turns.insert(a_turn_on(None, ended_at=later(1)))
        tx.spending.begin(an_attempt())
        tx.spending.book(a_line())
        tx.spending.record(an_execution())
    async with state.transaction(ACME) as tx:
        tx.conversations.delete(a_conversation().id)
    assert await lines(state) == [a_line()]
    assert await attempts(state) == [an_attempt()]
    async with state.snapshot(ACME) as tx:
        assert await tx.spending.execution(TurnId("turn-1")) is None


class TestOrphans:
    async def test_are_open_attempts_of_no_turn_that_began_long_ago(self, state: State) -> None:
        bare = replace(an_attempt(unit="gen-1"), epoch=0)
        newer = replace(bare, unit="gen-2", began_at=later(60))
        rival = replace(bare, unit="gen-3", tenant=OTHER, began_at=later(30))
        booked = replace(bare, unit="gen-4", booked=True)
        async with state.transaction(EVERY_TENANT) as tx:
            for attempt in (newer, rival, bare, booked, an_attempt()):
                tx.spending.begin(attempt)
        async with state.snapshot(EVERY_TENANT) as tx:
            assert await tx.spending.orphaned(later(61), 10) == [bare, rival, newer]
            assert await tx.spending.orphaned(later(60), 10) == [bare, rival]
            assert await tx.spending.orphaned(later(61), 1) == [bare]
        async with state.snapshot(ACME) as tx:
            assert await tx.spending.orphaned(later(61), 10) == [bare, newer]


class TestBooked:
    """What was spent in a time, through which key, page by page."""

    async def test_lines_of_a_time_in_order(self, state: State) -> None:
        times = (2, 0, 1, 1, 5)
        made = [
            replace(a_line(n), booked_at=later(at), key=ApiKeyId(f"k{n}"))
            for n, at in enumerate(times, 1)
        ]
        await book(state, *made)
        async with state.snapshot(ACME) as tx:
            found = await tx.spending.booked(later(0), later(5), 9, None)
            assert [line.key for line in found] == ["k2", "k3", "k4", "k1"]
            last = found[1]
            place = (last.booked_at, last.unit, last.attempt)
            rest = await tx.spending.booked(later(0), later(5), 1, place)
            assert [line.key for line in rest] == ["k4"]
            assert await tx.spending.booked(later(3), later(9), 9, place) == made[4:]

    async def test_another_tenants_are_not_there(self, state: State) -> None:
        await book(state, a_line())
        async with state.snapshot(OTHER) as tx:
            assert await tx.spending.booked(later(-9), later(9), 9, None) == []
        async with state.snapshot(EVERY_TENANT) as tx:
            assert len(await tx.spending.booked(later(-9), later(9), 9, None)) == 1
