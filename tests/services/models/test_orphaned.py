"""Bare generations whose process died: booked once, also when their end comes late."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.generation import TokenUsage
from core.identifiers import Seconds
from core.ports.model_gateway import SpendingUnit
from core.turns.rows import Attempt
from fakes.language_model import a_deployment
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN, loop_clock, loop_now
from services.models.attempts import Attempts
from services.models.orphaned import OrphanedAttempts

MODEL = a_deployment()
UNIT = SpendingUnit("gen-1", ACME, ANN)
HOUR = Seconds(3600.0)


def orphans(state: FakeState) -> OrphanedAttempts:
    return OrphanedAttempts(state, lambda _: MODEL, loop_clock(), HOUR)


async def lines(state: FakeState) -> list[tuple[TokenUsage, bool]]:
    async with state.snapshot(ACME) as view:
        return [(line.usage, line.estimated) for line in await view.spending.lines(UNIT.id)]


async def begun(state: FakeState) -> Attempt:
    return await Attempts(state).begin(UNIT, MODEL, 10, 5)


async def test_a_start_alone_books_all_and_only_once() -> None:
    state = FakeState(loop_now)
    await begun(state)
    await asyncio.sleep(0.1)
    assert await orphans(state).open(alone=True) == 1
    assert await orphans(state).open(alone=True) == 0
    assert await lines(state) == [(TokenUsage(10, 0), True)]


async def test_beside_others_only_what_can_have_no_caller_any_more() -> None:
    state = FakeState(loop_now)
    await begun(state)
    assert await orphans(state).open(alone=False) == 0
    await asyncio.sleep(HOUR + 1)
    assert await orphans(state).open(alone=False) == 1


async def test_an_end_that_comes_late_replaces_the_estimate() -> None:
    state = FakeState(loop_now)
    attempt = await begun(state)
    await asyncio.sleep(0.1)
    await orphans(state).open(alone=True)
    await Attempts(state).end(replace(attempt, used=TokenUsage(9, 4)), UNIT, MODEL)
    assert await lines(state) == [(TokenUsage(9, 4), False)]


async def test_what_was_ended_is_left_alone() -> None:
    state = FakeState(loop_now)
    attempt = await begun(state)
    await Attempts(state).end(replace(attempt, used=TokenUsage(9, 4)), UNIT, MODEL)
    await asyncio.sleep(0.1)
    assert await orphans(state).open(alone=True) == 0
    assert await lines(state) == [(TokenUsage(9, 4), False)]


async def test_it_is_looked_for_every_minute_and_a_store_that_is_away_ends_nothing() -> None:
    state = FakeState(loop_now)
    await begun(state)
    watching = asyncio.create_task(orphans(state).watch())
    await asyncio.sleep(HOUR - 30)
    state.faults.away = True
    await asyncio.sleep(90)
    state.faults.away = False
    assert await lines(state) == []
    await asyncio.sleep(120)
    assert await lines(state) == [(TokenUsage(10, 0), True)]
    watching.cancel()
