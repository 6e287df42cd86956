"""Values that PostgreSQL cannot keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.state.postgres.state import PostgresState
from contracts.state_samples import ACME, a_conversation
from core.errors import InvalidInput
from fakes.state_steps import keep, opened, titles


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[PostgresState]:
    async with opened(postgres_url) as it:
        yield it


async def test_a_text_with_a_zero_character_is_refused_and_nothing_is_kept(
    state: PostgresState,
) -> None:
    async def title(text: str) -> None:
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation("first"))
            tx.conversations.insert(replace(a_conversation("second"), title=text))

    with pytest.raises(InvalidInput, match=r"U.0000"):
        await title("cut\x00here")
    assert await titles(state) == set()
    await keep(state, "after")
    assert await titles(state) == {"after"}
