"""What can be made to go wrong with the in-memory state."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from core.ports.state import StoreUnavailable


class CommitFault(Enum):
    """How a commit fails, as its caller is told and as it is."""

    REFUSED = "not committed, and the caller knows"
    LOST = "not committed, and the caller does not know"
    REPLY_LOST = "committed, and the caller does not know"


def unavailable(message: str, *, outcome_known: bool = True) -> StoreUnavailable:
    """The error of a store that failed."""
    error = StoreUnavailable(message)
    error.outcome_known = outcome_known
    return error


@dataclass(slots=True)
class _Failing:
    fault: CommitFault
    remaining: int
    touching: str | None


class Faults:
    """Switches. A commit can be told by a table that it writes: `idempotency` (a claim), `events`
    (an append), `attempts` (begin and end), `executions` (a settlement)."""

    def __init__(self) -> None:
        self.away = False
        """While True, whoever reaches for the store gets StoreUnavailable."""
        self._failing: list[_Failing] = []
        self._gate: asyncio.Event | None = None
        self._held_table: str | None = None
        self._held = 0
        self._arrived = asyncio.Event()

    def fail_commits(
        self, fault: CommitFault, count: int = 1, *, touching: str | None = None
    ) -> None:
        """Let the next `count` commits (that write the table `touching`) fail so."""
        self._failing.append(_Failing(fault, count, touching))

    def hold_commits(self, *, touching: str | None = None) -> None:
        """From now on commits (that write the table) wait, and so does who comes after them."""
        self._gate, self._held_table = asyncio.Event(), touching

    def release_commits(self) -> None:
        """Let go of those that wait, and hold no more."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.set()

    async def wait_until_held(self) -> None:
        """Return once a commit waits."""
        while not self._held:
            self._arrived.clear()
            await self._arrived.wait()

    def require_present(self) -> None:
        """StoreUnavailable while the store is away."""
        if self.away:
            raise unavailable("the store cannot be reached")

    async def before_commit(self, touched: Collection[str]) -> CommitFault | None:
        """Wait while commits are held, then say how this one is to fail, if it is."""
        await self._pass_gate(touched)
        self.require_present()
        for failing in self._failing:
            if failing.touching is None or failing.touching in touched:
                failing.remaining -= 1
                if failing.remaining == 0:
                    self._failing.remove(failing)
                return failing.fault
        return None

    async def _pass_gate(self, touched: Collection[str]) -> None:
        gate = self._gate
        if gate is None or (self._held_table is not None and self._held_table not in touched):
            return
        self._held += 1
        self._arrived.set()
        try:
            await gate.wait()
        finally:
            self._held -= 1
