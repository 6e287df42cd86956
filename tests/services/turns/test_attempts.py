"""Attempts on record: a number for each call, begun before it, ended once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.catalog import Deployment
from core.errors import Conflict
from core.generation import TokenUsage
from core.identifiers import BootId, TenantId, TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State, StoreUnavailable
from core.turns.rows import Attempt, EndReason, Turn, TurnState
from fakes.language_model import a_deployment
from fakes.state import CommitFault, FakeState
from fakes.turn_node import ACME, ANN, NOON
from services.models.attempt_steps import NOTHING
from services.models.attempts import Attempts

TURN = Turn(
    id=TurnId("turn-1"),
    tenant=ACME,
    user=ANN,
    state=TurnState.RUNNING,
    run=1,
    epoch=1,
    owner=BootId("boot-1"),
    claim_nonce="n",
    lease_until=NOON + timedelta(seconds=5),
    deadline_at=NOON + timedelta(seconds=60),
    created_at=NOON,
)
MODEL: Deployment = a_deployment()


def a_unit(epoch: int | None = 1) -> SpendingUnit:
    return SpendingUnit("turn-1", ACME, ANN, epoch=epoch)


async def begin(state: State, epoch: int | None = 1) -> Attempt:
    return await Attempts(state).begin(a_unit(epoch), MODEL, 10, 5)


async def on_record(state: State) -> list[Attempt]:
    async with state.snapshot(ACME) as view:
        return list(await view.spending.attempts("turn-1"))


async def put(state: State, turn: Turn = TURN) -> None:
    async with state.transaction(ACME) as tx:
        if await tx.turns.lock([turn.id]):
            tx.turns.update(turn)
        else:
            tx.turns.insert(turn)


async def test_numbers_go_up_through_all_runs_of_a_turn(state: State) -> None:
    await put(state)
    assert [(await begin(state)).number for _ in range(3)] == [1, 2, 3]
    await put(state, replace(TURN, run=2, epoch=2))
    assert (await begin(state, 2)).number == 4


@pytest.mark.parametrize(
    "row",
    [
        replace(TURN, epoch=2),
        replace(TURN, state=TurnState.FINISHED),
        replace(TURN, cancel=EndReason.CANCELLED),
    ],
)
async def test_none_begins_for_a_run_that_is_over(state: State, row: Turn) -> None:
    await put(state, row)
    with pytest.raises(Conflict):
        await begin(state)
    assert await on_record(state) == []


async def test_none_begins_for_a_turn_that_is_not_there(state: State) -> None:
    with pytest.raises(Conflict):
        await begin(state)


@pytest.mark.parametrize("fault", [CommitFault.LOST, CommitFault.REPLY_LOST])
async def test_a_number_whose_commit_is_unknown_is_never_called(
    fake: FakeState, fault: CommitFault
) -> None:
    """Fault 4: the next number is taken; what the lost one may have written is closed."""
    await put(fake)
    fake.faults.fail_commits(fault, 2, touching="attempts")
    attempt = await begin(fake)
    assert attempt.number == 3
    rows = await on_record(fake)
    assert [row.used for row in rows if row.number < 3] == [NOTHING] * (len(rows) - 1)
    assert rows[-1] == attempt


async def test_a_refused_number_is_used_again(fake: FakeState) -> None:
    await put(fake)
    fake.faults.fail_commits(CommitFault.REFUSED, 2, touching="attempts")
    assert (await begin(fake)).number == 1


async def test_a_store_that_stays_away_is_told(fake: FakeState) -> None:
    """A turn waits for it for as long as it may hold its output back."""
    await put(fake)
    fake.faults.away = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnavailable):
        await begin(fake)
    assert 25 < asyncio.get_running_loop().time() - began < 30


async def test_a_lost_number_that_another_run_took_is_left_alone(fake: FakeState) -> None:
    """Its commit did not happen; the next run took the number and calls on it."""
    await put(fake)
    fake.faults.fail_commits(CommitFault.LOST, touching="attempts")
    stale = asyncio.create_task(begin(fake))
    await asyncio.sleep(0.01)  # it waits before its next try
    await put(fake, replace(TURN, run=2, epoch=2))
    attempt = await begin(fake, 2)
    assert attempt.number == 1
    with pytest.raises(Conflict):
        await stale
    assert await on_record(fake) == [attempt]


async def test_what_a_refused_begin_had_written_is_closed(fake: FakeState) -> None:
    await put(fake)
    fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="attempts")
    beginning = asyncio.create_task(begin(fake))
    await asyncio.sleep(0.01)
    await put(fake, replace(TURN, cancel=EndReason.CANCELLED))
    with pytest.raises(Conflict):
        await beginning
    assert [row.used for row in await on_record(fake)] == [NOTHING]


@pytest.mark.parametrize("steps", range(8))
async def test_one_that_is_cancelled_as_it_begins_used_nothing(state: State, steps: int) -> None:
    await put(state)
    beginning = asyncio.create_task(begin(state))
    for _ in range(steps):
        await asyncio.sleep(0)
    beginning.cancel()
    await asyncio.wait({beginning})
    rows = await on_record(state)
    expected = None if not beginning.cancelled() else NOTHING
    assert [row.used for row in rows] == [expected] * len(rows)


async def test_an_end_is_written_once_and_late_truth_replaces_an_estimate(state: State) -> None:
    await put(state)
    attempts = Attempts(state)
    attempt = await begin(state)
    await attempts.end(replace(attempt, output_bytes=9, error="stopped"), a_unit(), MODEL)
    (row,) = await on_record(state)
    assert (row.used, row.output_bytes, row.error, row.booked) == (None, 9, "stopped", False)
    async with state.transaction(ACME) as tx:
        tx.spending.update(replace(row, booked=True))
    for used in (TokenUsage(7, 3), TokenUsage(8, 4)):
        await attempts.end(replace(attempt, used=used), a_unit(), MODEL)
    async with state.snapshot(ACME) as view:
        (line,) = await view.spending.lines("turn-1")
    assert (line.usage, line.estimated) == (TokenUsage(7, 3), False)


async def test_a_bare_generation_is_booked_at_its_end(state: State) -> None:
    attempts = Attempts(state)
    attempt = await begin(state, None)
    await attempts.end(replace(attempt, used=TokenUsage(7, 3)), a_unit(None), MODEL)
    assert [row.booked for row in await on_record(state)] == [True]


@pytest.mark.parametrize("fault", [CommitFault.LOST, CommitFault.REPLY_LOST])
async def test_of_a_fresh_unit_too_what_may_be_on_record_is_looked_at(
    fake: FakeState, fault: CommitFault
) -> None:
    """Only the first try knows without looking that there is no other attempt."""
    fake.faults.fail_commits(fault, 1, touching="attempts")
    attempt = await Attempts(fake).begin(a_unit(None), MODEL, 10, 5, fresh=True)
    assert attempt.number == 2
    rows = await on_record(fake)
    assert [row.used for row in rows if row.number < 2] == [NOTHING] * (len(rows) - 1)
    assert rows[-1] == attempt


async def test_bare_generations_of_two_tenants_are_written_together(state: State) -> None:
    """In one transaction, and yet each is its own tenant's."""
    other = TenantId("globex")
    units = [SpendingUnit(f"gen-{number}", (ACME, other)[number % 2], ANN) for number in range(6)]
    attempts, used = Attempts(state), TokenUsage(10, 3)
    begun = await asyncio.gather(
        *(attempts.begin(unit, MODEL, 10, 5, fresh=True) for unit in units)
    )
    await asyncio.gather(
        *(
            attempts.end(replace(row, used=used), unit, MODEL)
            for row, unit in zip(begun, units, strict=True)
        )
    )
    for unit in units:
        stranger = other if unit.tenant == ACME else ACME
        async with state.snapshot(unit.tenant) as view:
            rows = await view.spending.attempts(unit.id)
            lines = await view.spending.lines(unit.id)
        assert [(row.used, row.booked) for row in rows] == [(used, True)]
        assert [(line.tenant, line.usage) for line in lines] == [(unit.tenant, used)]
        async with state.snapshot(stranger) as view:
            assert not await view.spending.attempts(unit.id)
