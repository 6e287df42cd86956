"""Attempts of bare generations that are written together: each as if it had been alone."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from core.generation import TokenUsage
from core.identifiers import TenantId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import Scope, StoreConflict, StoreUnavailable, Transaction
from core.turns.rows import Attempt, LedgerLine
from fakes.language_model import a_deployment
from fakes.state import CommitFault, FakeState
from fakes.turn_node import ANN, loop_now
from services.models.attempt_steps import NOTHING
from services.models.attempts import Attempts

MODEL = a_deployment()
TENANTS = (TenantId("acme"), TenantId("globex"))
UNITS = [SpendingUnit(f"gen-{number}", TENANTS[number % 2], ANN) for number in range(8)]
USED = TokenUsage(10, 5)


class CountedState(FakeState):
    """Counts its transactions."""

    transactions = 0

    def transaction(  # type: ignore[override]  # all that a State promises
        self, scope: Scope
    ) -> AbstractAsyncContextManager[Transaction]:
        self.transactions += 1
        return super().transaction(scope)


@pytest.fixture
def state() -> CountedState:
    return CountedState(loop_now)


async def begin(attempts: Attempts, unit: SpendingUnit, *, fresh: bool = True) -> Attempt:
    return await attempts.begin(unit, MODEL, 10, 5, fresh=fresh)


async def rows(state: FakeState, unit: SpendingUnit) -> list[Attempt]:
    async with state.snapshot(unit.tenant) as view:
        return list(await view.spending.attempts(unit.id))


async def lines(state: FakeState, unit: SpendingUnit) -> list[LedgerLine]:
    async with state.snapshot(unit.tenant) as view:
        return list(await view.spending.lines(unit.id))


async def test_what_comes_together_shares_a_commit_and_is_each_tenants_own(
    state: CountedState,
) -> None:
    attempts = Attempts(state)
    begun = await asyncio.gather(*(begin(attempts, unit) for unit in UNITS))
    assert state.transactions == 1
    assert [(row.unit, row.tenant, row.number) for row in begun] == [
        (unit.id, unit.tenant, 1) for unit in UNITS
    ]
    await asyncio.gather(
        *(
            attempts.end(replace(row, used=USED), unit, MODEL)
            for row, unit in zip(begun, UNITS, strict=True)
        )
    )
    assert state.transactions == 2
    for unit in UNITS:
        assert [(row.used, row.booked) for row in await rows(state, unit)] == [(USED, True)]
        assert [line.usage for line in await lines(state, unit)] == [USED]


async def test_who_cannot_be_written_does_not_take_the_others_along(state: CountedState) -> None:
    attempts = Attempts(state)
    await begin(attempts, UNITS[0])
    found = await asyncio.gather(*(begin(attempts, unit) for unit in UNITS), return_exceptions=True)
    assert isinstance(found[0], StoreConflict)  # it was not the first of its unit
    assert [row.number for row in found[1:] if isinstance(row, Attempt)] == [1] * 7
    assert [len(await rows(state, unit)) for unit in UNITS] == [1] * 8


@pytest.mark.parametrize("fault", [CommitFault.LOST, CommitFault.REPLY_LOST])
async def test_of_a_commit_in_doubt_each_takes_its_next_number(
    state: CountedState, fault: CommitFault
) -> None:
    attempts = Attempts(state)
    state.faults.fail_commits(fault, 1, touching="attempts")
    begun = await asyncio.gather(*(begin(attempts, unit) for unit in UNITS))
    assert [row.number for row in begun] == [2] * 8
    for unit in UNITS:
        assert {row.used for row in await rows(state, unit) if row.number == 1} <= {NOTHING}


async def test_a_refused_commit_is_tried_again_by_all(state: CountedState) -> None:
    attempts = Attempts(state)
    state.faults.fail_commits(CommitFault.REFUSED, 1, touching="attempts")
    begun = await asyncio.gather(*(begin(attempts, unit) for unit in UNITS))
    assert [row.number for row in begun] == [1] * 8


async def test_a_store_that_stays_away_is_told_to_all(state: CountedState) -> None:
    attempts = Attempts(state)
    state.faults.fail_commits(CommitFault.REFUSED, 1000, touching="attempts")
    found = await asyncio.gather(*(begin(attempts, unit) for unit in UNITS), return_exceptions=True)
    assert {type(each) for each in found} == {StoreUnavailable}


async def test_one_that_is_given_up_meanwhile_is_closed_and_the_others_go_on(
    state: CountedState,
) -> None:
    attempts = Attempts(state)
    state.faults.hold_commits(touching="attempts")
    tasks = [asyncio.create_task(begin(attempts, unit)) for unit in UNITS]
    await asyncio.sleep(0.01)
    tasks[3].cancel()
    await asyncio.sleep(0.01)
    state.faults.release_commits()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[3], asyncio.CancelledError)
    assert [row.used for row in await rows(state, UNITS[3])] == [NOTHING]
    assert [row.used for row in await rows(state, UNITS[4])] == [None]


async def test_who_comes_meanwhile_goes_with_the_next(state: CountedState) -> None:
    attempts = Attempts(state)
    state.faults.hold_commits(touching="attempts")
    first = asyncio.create_task(begin(attempts, UNITS[0]))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(begin(attempts, unit)) for unit in UNITS[1:]]
    await asyncio.sleep(0.01)
    state.faults.release_commits()
    await asyncio.gather(first, *others)
    assert state.transactions == 2
    assert [len(await rows(state, unit)) for unit in UNITS] == [1] * 8
