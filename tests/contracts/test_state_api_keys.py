"""API keys in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import ACME, OTHER, an_api_key, later
from core.api_keys import ApiKey
from core.identifiers import ApiKeyId
from core.ports.state import EVERY_TENANT, State, StoreConflict


async def keep(state: State, *keys: ApiKey) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        for key in keys:
            tx.api_keys.insert(key)


async def found(state: State, digest: str = "d1") -> ApiKey | None:
    async with state.snapshot(EVERY_TENANT) as tx:
        return await tx.api_keys.find(digest)


async def test_a_key_is_found_by_its_digest_as_it_was(state: State) -> None:
    limited = replace(an_api_key("key-2", "d2", OTHER), expires_at=later(9), scopes=frozenset())
    await keep(state, an_api_key(), limited)
    assert await found(state) == an_api_key()
    assert await found(state, "d2") == limited
    assert await found(state, "d3") is None


async def test_a_key_is_not_looked_up_within_a_tenant(state: State) -> None:
    with pytest.raises(ValueError, match="tenant"):
        async with state.snapshot(ACME) as tx:
            await tx.api_keys.find("d1")


@pytest.mark.parametrize("other", [an_api_key("key-2", "d1"), an_api_key("key-1", "d2")])
async def test_a_digest_and_an_id_are_taken_once(state: State, other: ApiKey) -> None:
    await keep(state, an_api_key())
    with pytest.raises(StoreConflict):
        await keep(state, other)


async def test_a_tenants_keys_are_listed_oldest_first(state: State) -> None:
    first = replace(an_api_key("key-9", "d9"), created_at=later(-9))
    await keep(state, an_api_key("key-2", "d2"), an_api_key(), first)
    await keep(state, an_api_key("foreign", "d4", OTHER))
    async with state.snapshot(ACME) as tx:
        assert [key.id for key in await tx.api_keys.list()] == ["key-9", "key-1", "key-2"]
    async with state.snapshot(EVERY_TENANT) as tx:
        assert len(await tx.api_keys.list()) == 4


async def test_a_revoked_key_stays_revoked_since_its_first_time(state: State) -> None:
    await keep(state, an_api_key(), an_api_key("key-2", "d2"))
    async with state.transaction(ACME) as tx:
        tx.api_keys.revoke(ApiKeyId("key-1"), later(1))
        tx.api_keys.revoke(ApiKeyId("key-1"), later(2))
        tx.api_keys.revoke(ApiKeyId("unknown"), later(2))
    assert await found(state) == replace(an_api_key(), revoked_at=later(1))
    assert await found(state, "d2") == an_api_key("key-2", "d2")
