"""How many turns this process runs at once. What is beyond is refused, never queued."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from core.errors import Exhausted
from core.identifiers import TenantId


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The most turns at once, of the process and of one tenant."""

    turns: int = 512
    turns_per_tenant: int = 256


class Admission:
    """Counts the runs of this process."""

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._running: Counter[TenantId] = Counter()

    def take(self, tenant: TenantId) -> None:
        """Count one more run, from its claim on. Raises Exhausted; then nothing is counted."""
        if self._running.total() >= self._limits.turns:
            raise Exhausted(f"this server runs {self._limits.turns} turns, the most it may")
        if self._running[tenant] >= self._limits.turns_per_tenant:
            raise Exhausted(
                f"this tenant runs {self._limits.turns_per_tenant} turns, the most it may"
            )
        self._running[tenant] += 1

    def give_back(self, tenant: TenantId) -> None:
        """A run has ended, or its claim failed."""
        self._running[tenant] -= 1
        if self._running[tenant] <= 0:
            del self._running[tenant]
