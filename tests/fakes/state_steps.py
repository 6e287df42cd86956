"""Small steps that tests of a store take again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import PostgresState, open_postgres
from contracts.state_samples import ACME, ANN, a_conversation
from core.ports.state import State, StoreUnavailable


@asynccontextmanager
async def opened(url: str, **changes: object) -> AsyncIterator[PostgresState]:
    """A store on PostgreSQL with these options, for the length of a block."""
    state = await open_postgres(replace(PostgresOptions(url), **changes))  # type: ignore[arg-type] # a test names options
    try:
        yield state
    finally:
        await state.close()


async def titles(state: State) -> set[str]:
    """The ids of ACME's conversations."""
    async with state.snapshot(ACME) as tx:
        return {row.id for row in await tx.conversations.list(ANN, 1000, None)}


async def keep(state: State, id: str) -> None:
    """Insert a conversation."""
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation(id))


async def failure(state: State, id: str) -> StoreUnavailable:
    """How inserting a conversation fails."""
    with pytest.raises(StoreUnavailable) as failed:
        await keep(state, id)
    return failed.value


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    while not condition():  # noqa: ASYNC110 - it is no event of ours
        await asyncio.sleep(0.01)


def open_connections(state: PostgresState) -> int:
    """How many the pool has."""
    return state._house.pool._open
