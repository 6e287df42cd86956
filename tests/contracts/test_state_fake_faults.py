"""The in-memory state's own switches, which other tests rely on."""

from __future__ import annotations

import asyncio

import pytest

from contracts.state_samples import ACME, TALK, a_conversation, a_turn, events
from core.ports.state import StoreUnavailable
from fakes.state import CommitFault, FakeState


async def keep(state: FakeState) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())


async def log(state: FakeState, first: int = 1) -> None:
    async with state.transaction(ACME) as tx:
        tx.events.append(a_turn(), events(first, 1))


async def is_kept(state: FakeState) -> bool:
    async with state.snapshot(ACME) as tx:
        return await tx.conversations.get(TALK) is not None


@pytest.mark.parametrize(
    ("fault", "known", "there"),
    [
        (CommitFault.REFUSED, True, False),
        (CommitFault.LOST, False, False),
        (CommitFault.REPLY_LOST, False, True),
    ],
)
async def test_a_commit_fails_as_asked_for(fault: CommitFault, known: bool, there: bool) -> None:
    state = FakeState()
    state.faults.fail_commits(fault)
    with pytest.raises(StoreUnavailable) as failed:
        await keep(state)
    assert failed.value.outcome_known is known
    assert await is_kept(state) is there
    await log(state)


async def test_only_commits_of_a_table_fail_and_only_so_many() -> None:
    state = FakeState()
    state.faults.fail_commits(CommitFault.REFUSED, 2, touching="events")
    await keep(state)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await log(state)
    await log(state)
    assert state.commits == 2


async def test_held_commits_wait_and_hold_up_who_comes_after_them() -> None:
    state = FakeState()
    state.faults.hold_commits(touching="events")
    held = asyncio.create_task(log(state))
    await state.faults.wait_until_held()
    later = asyncio.create_task(keep(state))
    await asyncio.sleep(0.01)
    assert state.commits == 0
    assert not await is_kept(state)
    state.faults.release_commits()
    await asyncio.gather(held, later)
    assert state.commits == 2


async def test_a_store_that_is_away_comes_back() -> None:
    state = FakeState()
    state.faults.away = True
    with pytest.raises(StoreUnavailable):
        await keep(state)
    with pytest.raises(StoreUnavailable):
        await is_kept(state)
    state.faults.away = False
    await keep(state)
    assert await is_kept(state)
