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

    def adopt(self, limits: TurnLimits) -> None:
        """Go by these limits from now on; what runs beyond them goes on."""
        self._limits = limits

    @property
    def running(self) -> int:
        """How many runs are counted now. May be asked on any thread."""
        return self._running.total()

    def place(self, tenant: TenantId) -> Place:
        """A place for one run, not taken yet."""
        return Place(self, tenant)

    def take(self, tenant: TenantId) -> None:
        """Count one more run, from its claim on. Raises Exhausted; then nothing is counted."""
        if self._running.total() >= self._limits.turns:
            raise Exhausted(
                f"this server runs {self._limits.turns} turns, the most it may", limit="turns"
            )
        if self._running[tenant] >= self._limits.turns_per_tenant:
            raise Exhausted(
                f"this tenant runs {self._limits.turns_per_tenant} turns, the most it may",
                limit="turns_per_tenant",
            )
        self._running[tenant] += 1

    def give_back(self, tenant: TenantId) -> None:
        """A run has ended, or its claim failed."""
        self._running[tenant] -= 1
        if self._running[tenant] <= 0:
            del self._running[tenant]


class Place:
    """One run's place among those that are counted: taken once, given back once."""

    def __init__(self, admission: Admission, tenant: TenantId) -> None:
        self._admission = admission
        self._tenant = tenant
        self._taken = False

    def take(self) -> None:
        """Count the run unless it is counted already. Raises Exhausted."""
        if not self._taken:
            self._admission.take(self._tenant)
            self._taken = True

    def give_back(self) -> None:
        """Count it no more."""
        if self._taken:
            self._admission.give_back(self._tenant)
            self._taken = False
