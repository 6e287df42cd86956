"""What operators see of each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.call import CallFacts
from core.identifiers import CallId, TenantId, UserId


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call that ended: the line that the log gets for it. Never holds content or a secret."""

    method: str
    call_id: CallId
    tenant: TenantId | None
    user: UserId | None
    status: str
    reason: str
    latency_ms: float
    first_message_ms: float | None
    messages: int
    facts: CallFacts


class Telemetry(Protocol):
    """Takes facts and returns at once; it never raises and never blocks the loop."""

    def call_ended(self, line: CallLine) -> None:
        """A call of ours has ended, in whatever way."""

    def failed(self, call_id: CallId, error: BaseException) -> None:
        """A bug: the one place where its stack is written down."""
