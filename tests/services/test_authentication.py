"""Who was looked up a moment ago is recalled, and no longer than that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.api_keys import ApiKey, digest_of
from core.clock import Clock
from core.errors import Unauthenticated
from core.identifiers import ApiKeyId, Seconds, TenantId, UserId
from core.ports.state import EVERY_TENANT
from fakes.state import FakeState
from services.authentication import Authenticator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "ck_open"
KEY = ApiKey(
    ApiKeyId("key_1"), TenantId("acme"), UserId("ann"), digest_of(SECRET), frozenset({"*"}), NOON
)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = Clock(self.now, lambda: Seconds(self.seconds))

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


async def _authenticator(time: Time, key: ApiKey) -> tuple[Authenticator, FakeState]:
    state = FakeState(time.now)
    async with state.transaction(EVERY_TENANT) as tx:
        tx.api_keys.insert(key)
    return Authenticator(state, time.clock), state


async def test_who_was_looked_up_is_recalled_for_five_seconds() -> None:
    time = Time()
    doors, _ = await _authenticator(time, KEY)
    assert doors.recall(SECRET) is None
    caller = await doors.authenticate(SECRET)
    assert doors.recall(SECRET) is doors.recall(SECRET)
    assert doors.recall(SECRET) == caller == KEY.principal()
    assert doors.recall("ck_other") is None
    time.seconds = 4.9
    assert doors.recall(SECRET) == caller
    time.seconds = 5.0
    assert doors.recall(SECRET) is None


async def test_a_key_that_expires_is_not_recalled() -> None:
    time = Time()
    doors, _ = await _authenticator(time, replace(KEY, expires_at=NOON + timedelta(seconds=2)))
    await doors.authenticate(SECRET)
    time.seconds = 1.9
    assert doors.recall(SECRET) is not None
    time.seconds = 2.0
    assert doors.recall(SECRET) is None
    with pytest.raises(Unauthenticated):
        await doors.authenticate(SECRET)


async def test_a_revoked_key_is_recalled_no_longer_than_it_is_remembered() -> None:
    time = Time()
    doors, state = await _authenticator(time, KEY)
    await doors.authenticate(SECRET)
    async with state.transaction(EVERY_TENANT) as tx:
        tx.api_keys.revoke(KEY.id, time.now())
    time.seconds = 5.0
    assert doors.recall(SECRET) is None
    with pytest.raises(Unauthenticated):
        await doors.authenticate(SECRET)
