"""Transactions that share round trips and commits: what that saves, and that nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.state.postgres.state import PostgresState
from contracts.state_samples import ACME, OTHER, TALK, a_conversation
from core.identifiers import TenantId
from core.ports.state import State, StoreConflict, StoreUnavailable
from fakes.state_steps import keep, opened, titles
from servers.cutting_proxy import CuttingProxy
from servers.postgres import PostgresServer


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[PostgresState]:
    async with opened(postgres_url) as it:
        yield it


def transactions_so_far(server: PostgresServer) -> int:
    """How many transactions have written on the server."""
    ((number,),) = server.execute("SELECT pg_current_xact_id()::text::int")
    assert isinstance(number, int)
    return number


async def claim(state: State, id: str, tenant: TenantId = ACME) -> None:
    """Read, then write what rests on that."""
    async with state.transaction(tenant) as tx:
        assert await tx.conversations.get(a_conversation(id).id) is None
        tx.conversations.insert(a_conversation(id))


async def test_a_crowd_shares_commits(
    state: PostgresState, postgres_server: PostgresServer
) -> None:
    before = transactions_so_far(postgres_server)
    await asyncio.gather(*(claim(state, f"c{number}") for number in range(60)))
    assert transactions_so_far(postgres_server) - before < 20
    assert len(await titles(state)) == 60


async def test_each_works_for_its_own_tenant(state: PostgresState) -> None:
    tenants = [ACME, OTHER, ACME, OTHER, OTHER]
    await asyncio.gather(*(claim(state, f"c{n}", tenant) for n, tenant in enumerate(tenants)))
    assert await titles(state) == {"c0", "c2"}


async def test_one_that_is_refused_is_refused_alone(state: PostgresState) -> None:
    await keep(state, "taken")
    names = ["a", "taken", "b", "taken", "c"]
    results = await asyncio.gather(*(keep(state, name) for name in names), return_exceptions=True)
    assert [type(each) for each in results] == [
        type(None),
        StoreConflict,
        type(None),
        StoreConflict,
        type(None),
    ]
    assert await titles(state) == {"taken", "a", "b", "c"}


async def test_one_that_is_cancelled_goes_alone(state: PostgresState) -> None:
    tasks = [asyncio.create_task(claim(state, f"c{number}")) for number in range(9)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in results if each is not None] == [results[4]]
    assert isinstance(results[4], asyncio.CancelledError)
    assert await titles(state) == {f"c{number}" for number in range(9) if number != 4}


async def test_whose_shared_commit_is_not_answered_are_all_in_doubt(postgres_url: str) -> None:
    port = int(postgres_url.split(":")[3].split("/", maxsplit=1)[0])
    async with (
        CuttingProxy.before(port) as proxy,
        opened(postgres_url.replace(f":{port}/", f":{proxy.port}/")) as state,
    ):
        await keep(state, "before")
        proxy.lose_answer = True
        crowd = (keep(state, f"c{number}") for number in range(5))
        results = await asyncio.gather(*crowd, return_exceptions=True)
        in_doubt = [each for each in results if isinstance(each, StoreUnavailable)]
        assert len(in_doubt) == 5
        assert not any(each.outcome_known for each in in_doubt)
        assert len({id(each) for each in in_doubt}) == 5
        assert len(await titles(state)) == 6


async def test_a_read_that_shares_sees_what_others_committed_before_it(
    state: PostgresState,
) -> None:
    async with state.transaction(ACME) as tx:
        assert await tx.conversations.get(TALK) is None
        await keep(state, "talk")
        assert await tx.conversations.get(TALK) is not None
