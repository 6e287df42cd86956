"""What operators see: each call that ended, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.call import CallFacts
from core.identifiers import CallId, TenantId, UserId
from core.ports.cache_observer import CacheObserver, QuietCache
from core.ports.gateway_observer import GatewayObserver, QuietGateway
from core.ports.turn_observer import QuietObserver, TurnObserver


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


class Measures(TurnObserver, GatewayObserver, CacheObserver, Protocol):
    """What is counted for operators. Every method returns at once and never raises."""

    def call_ended(self, line: CallLine) -> None:
        """A call of ours has ended."""

    def bug(self) -> None:
        """An error of our own was written down."""

    def watch_running(self, count: Callable[[], int]) -> None:
        """Ask for the number of turns that run here whenever somebody looks.

        It is called on another thread than the loop's: it may only read.
        """

    def budget_alert(self, budget: str, threshold: str) -> None:
        """What was spent by a rule of this name has reached this share of its limit."""

    def notice_dropped(self) -> None:
        """The bus could not take or send a notice."""

    def bus_connected(self) -> None:
        """Notices go between replicas."""

    def bus_disconnected(self) -> None:
        """Notices stay in this replica for now."""


class NoMeasures(QuietObserver, QuietGateway, QuietCache):
    """Measures that nobody looks at."""

    def call_ended(self, line: CallLine) -> None:
        """See Measures."""

    def bug(self) -> None:
        """See Measures."""

    def watch_running(self, count: Callable[[], int]) -> None:
        """See Measures."""

    def budget_alert(self, budget: str, threshold: str) -> None:
        """See Measures."""

    def notice_dropped(self) -> None:
        """See Measures."""

    def bus_connected(self) -> None:
        """See Measures."""

    def bus_disconnected(self) -> None:
        """See Measures."""
