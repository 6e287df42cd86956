"""Nobody is called for a turn whose runner may have lost it, by what the store says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import Conflict
from core.identifiers import BootId, TurnId
from core.ports.model_gateway import SpendingUnit
from core.turns.rows import Turn, TurnState
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN
from services.turns.row_lease import RowLease

UNIT = SpendingUnit("turn-1", ACME, ANN, epoch=3)


async def stored(lease: float, **changes: object) -> FakeState:
    """A store in which the turn's lease lasts for so many seconds."""
    state, now = FakeState(), datetime.now(UTC)
    turn = Turn(
        id=TurnId("turn-1"),
        tenant=ACME,
        user=ANN,
        state=TurnState.RUNNING,
        run=1,
        epoch=3,
        owner=BootId("boot-1"),
        claim_nonce="nonce",
        lease_until=now + timedelta(seconds=lease),
        deadline_at=now + timedelta(seconds=60),
        created_at=now,
    )
    async with state.transaction(ACME) as tx:
        tx.turns.insert(replace(turn, **changes))  # type: ignore[arg-type]  # a test's own fields
    return state


async def test_while_the_lease_lasts_it_may_spend() -> None:
    await RowLease(await stored(5)).hold(UNIT)


async def test_a_bare_generation_has_no_lease() -> None:
    await RowLease(FakeState()).hold(replace(UNIT, epoch=None))


async def test_a_runner_that_is_late_has_a_moment_to_renew() -> None:
    state = await stored(-1)
    holding = asyncio.create_task(RowLease(state).hold(UNIT))
    await asyncio.sleep(0.07)
    assert not holding.done()
    async with state.transaction(ACME) as tx:
        turn = (await tx.turns.lock([TurnId("turn-1")]))[TurnId("turn-1")]
        tx.turns.update(replace(turn, lease_until=tx.now + timedelta(seconds=5)))
    await holding


async def test_a_lease_that_has_run_out_calls_nobody() -> None:
    with pytest.raises(Conflict, match="lease"):
        await RowLease(await stored(-1)).hold(UNIT)


@pytest.mark.parametrize(
    "changes", [{"epoch": 4}, {"state": TurnState.FINISHED}, {"id": TurnId("another")}]
)
async def test_nor_does_a_run_that_has_lost_its_turn(changes: dict[str, object]) -> None:
    with pytest.raises(Conflict, match="no longer has its turn"):
        await RowLease(await stored(5, **changes)).hold(UNIT)
