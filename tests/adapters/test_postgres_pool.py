"""Connections and waits are bounded, whatever callers and the server do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.state.postgres.state import PostgresState
from contracts.state_samples import ACME, TALK, a_conversation, a_turn
from core.identifiers import Seconds, TurnId
from core.ports.state import State, StoreUnavailable
from fakes.state_steps import failure, keep, open_connections, opened, titles, until

TURN = TurnId("turn-1")


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[PostgresState]:
    async with opened(postgres_url) as it:
        yield it


async def insert(state: State) -> None:
    """The turn TURN."""
    async with state.transaction(ACME) as tx:
        tx.turns.insert(a_turn())


async def bump(state: State) -> None:
    """Lock it, and count in it."""
    async with state.transaction(ACME) as tx:
        row = (await tx.turns.lock([TURN]))[TURN]
        tx.turns.update(replace(row, epoch=row.epoch + 1))


class TestTimeouts:
    async def test_a_lock_is_waited_for_and_then_given_up(self, postgres_url: str) -> None:
        async with opened(postgres_url, statement_timeout=Seconds(0.2)) as state:
            await insert(state)
            async with state.transaction(ACME) as first:
                await first.turns.lock([TURN])
                with pytest.raises(StoreUnavailable) as failed:
                    async with state.transaction(ACME) as second:
                        await second.turns.lock([TURN])
                assert failed.value.outcome_known
                assert "in time" in str(failed.value)

    async def test_a_process_that_stands_still_loses_its_locks(self, postgres_url: str) -> None:
        async with opened(postgres_url, transaction_timeout=Seconds(0.2)) as state:
            await insert(state)

            async def pause() -> None:
                async with state.transaction(ACME) as tx:
                    rows = await tx.turns.lock([TURN])
                    await asyncio.sleep(0.6)
                    tx.turns.update(replace(rows[TURN], epoch=9))

            paused = asyncio.create_task(pause())
            await asyncio.sleep(0.05)
            async with state.transaction(ACME) as tx:
                assert TURN in await tx.turns.lock([TURN])
            with pytest.raises(StoreUnavailable) as failed:
                await paused
            assert failed.value.outcome_known
            async with state.snapshot(ACME) as tx:
                assert await tx.turns.get(TURN) == a_turn()


class TestPool:
    async def test_who_waits_too_long_for_a_connection_is_told(self, postgres_url: str) -> None:
        limits = {"connections": 1, "acquire_timeout": Seconds(0.1)}
        async with opened(postgres_url, **limits) as state, state.transaction(ACME) as tx:
            await tx.turns.lock([TURN])
            failed = await failure(state, "waits")
            assert failed.outcome_known
            assert "no connection came free" in str(failed)

    async def test_no_more_than_so_many_wait(self, postgres_url: str) -> None:
        async with opened(postgres_url, connections=1, queue_limit=2) as state:
            await insert(state)
            async with state.transaction(ACME) as tx:
                await tx.turns.lock([TURN])
                waiting = [asyncio.create_task(bump(state)) for _ in range(2)]
                await asyncio.sleep(0)
                with pytest.raises(StoreUnavailable, match="too many wait"):
                    await bump(state)
            await asyncio.gather(*waiting)

    async def test_nor_for_a_commit_that_they_share(self, postgres_url: str) -> None:
        async with opened(postgres_url, connections=1, queue_limit=2) as state:
            await insert(state)
            async with state.transaction(ACME) as tx:
                await tx.turns.lock([TURN])
                crowd = [asyncio.create_task(keep(state, f"w{n}")) for n in range(9)]
                await asyncio.sleep(0.01)
            results = await asyncio.gather(*crowd, return_exceptions=True)
            told = [str(each) for each in results if each is not None]
            assert told
            assert all("too many wait" in each for each in told)
            assert len(await titles(state)) == 9 - len(told)

    async def test_connections_that_nobody_needs_are_closed(self, postgres_url: str) -> None:
        async with opened(postgres_url, idle_timeout=Seconds(0.05)) as state:
            await asyncio.gather(*(keep(state, f"c{number}") for number in range(6)))
            await until(lambda: not open_connections(state))
            await keep(state, "after")
            assert len(await titles(state)) == 7

    async def test_a_cancel_in_mid_statement_costs_no_connection(self, postgres_url: str) -> None:
        async with opened(postgres_url, connections=2) as state:
            await insert(state)
            for _ in range(10):
                async with state.transaction(ACME) as holder:
                    await holder.turns.lock([TURN])
                    waiting = asyncio.create_task(bump(state))
                    await asyncio.sleep(0.01)
                    waiting.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await waiting
            await bump(state)
            async with state.snapshot(ACME) as tx:
                row = await tx.turns.get(TURN)
            assert row is not None
            assert row.epoch == 2
            assert open_connections(state) <= 2

    async def test_cancels_at_any_moment_leave_all_or_nothing(self, state: PostgresState) -> None:
        async def both(number: int) -> None:
            async with state.transaction(ACME) as tx:
                await tx.conversations.get(TALK)
                tx.conversations.insert(a_conversation(f"{number}-a"))
                await tx.conversations.get(TALK)
                tx.conversations.insert(a_conversation(f"{number}-b"))

        for number in range(40):
            task = asyncio.create_task(both(number))
            await asyncio.sleep(number / 20_000)
            task.cancel()
            await asyncio.wait({task})
        await keep(state, "after")
        found = await titles(state)
        while found != (found := await titles(state)):
            pass
        assert {id.removesuffix("-a") for id in found if id.endswith("-a")} == {
            id.removesuffix("-b") for id in found if id.endswith("-b")
        }
