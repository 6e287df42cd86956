"""A turn's row, for tests of the decisions about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.identifiers import BootId, TenantId, TurnId, UserId
from core.turns.rows import Turn, TurnState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING = Turn(
    id=TurnId("t"),
    tenant=TenantId("acme"),
    user=UserId("ann"),
    state=TurnState.RUNNING,
    run=1,
    epoch=1,
    owner=BootId("b"),
    claim_nonce="n",
    lease_until=NOON + timedelta(seconds=5),
    deadline_at=NOON + timedelta(seconds=60),
    created_at=NOON,
)


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)
