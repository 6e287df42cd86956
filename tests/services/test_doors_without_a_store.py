"""A store that is away is said to be away, and never that a key is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.api_keys import ApiKey, digest_of
from core.clock import Clock
from core.errors import Unauthenticated, Unavailable
from core.identifiers import ApiKeyId, Seconds, TenantId, UserId
from core.ports.state import EVERY_TENANT
from fakes.state import FakeState
from services.authentication import Authenticator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ApiKey(
    ApiKeyId("key_1"), TenantId("acme"), UserId("ann"), digest_of("ck_a"), frozenset({"*"}), NOON
)


async def test_a_good_key_is_not_refused_because_nobody_can_look_it_up() -> None:
    """Elsewhere: an exhausted database answers 401 to valid keys (litellm 34479)."""
    now = 0.0
    state = FakeState(lambda: NOON)
    async with state.transaction(EVERY_TENANT) as tx:
        tx.api_keys.insert(KEY)
    doors = Authenticator(state, Clock(lambda: NOON, lambda: Seconds(now)))
    state.faults.away = True
    for secret in ("ck_a", "ck_unknown"):
        with pytest.raises(Unavailable):
            await doors.authenticate(secret)
    state.faults.away = False
    assert await doors.authenticate("ck_a") == KEY.principal()
    with pytest.raises(Unauthenticated):
        await doors.authenticate("ck_unknown")
    state.faults.away, now = True, 4.0
    assert await doors.authenticate("ck_a") == KEY.principal()  # as it was a moment ago
