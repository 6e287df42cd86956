"""Bare generations whose process died: what they had begun is booked, by whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from core.catalog import Deployment
from core.clock import Clock
from core.errors import Unavailable
from core.identifiers import DeploymentName, Seconds
from core.ports.state import EVERY_TENANT, State
from core.turns.rows import Attempt
from services.turns.settlement import ledger_line

_BATCH = 100
_BETWEEN = 60.0

DeploymentOf = Callable[[DeploymentName], Deployment | None]


class OrphanedAttempts:
    """Books them as estimates: the prompt as it was counted, and what output is on record.

    `longest` is how long any call may take. An attempt that began earlier has no caller any
    more; one that still ends after it was booked replaces the estimate.
    """

    def __init__(
        self, state: State, deployment_of: DeploymentOf, clock: Clock, longest: Seconds
    ) -> None:
        self._state = state
        self._deployment_of = deployment_of
        self._clock = clock
        self._longest = timedelta(seconds=longest)

    async def book(self, began_before: datetime) -> int:
        """Book all that began before this time and nobody ended; how many there were."""
        count = 0
        while True:
            async with self._state.snapshot(EVERY_TENANT) as view:
                found = await view.spending.orphaned(began_before, _BATCH)
            for attempt in found:
                count += await self._book(attempt)
            if len(found) < _BATCH:
                return count

    async def open(self, *, alone: bool) -> int:
        """At the start: all there are, where no other process lives on this store."""
        now = self._clock.now()
        return await self.book(now if alone else now - self._longest)

    async def watch(self) -> None:
        """Every minute, those of processes that died meanwhile. Never returns."""
        while True:
            await asyncio.sleep(_BETWEEN)
            with suppress(Unavailable):  # the next round may find the store there
                await self.book(self._clock.now() - self._longest)

    async def _book(self, orphan: Attempt) -> int:
        async with self._state.transaction(orphan.tenant) as tx:
            rows = await tx.spending.attempts(orphan.unit)
            row = next((row for row in rows if row.number == orphan.number), None)
            if row is None or row.booked:
                return 0
            tx.spending.book(ledger_line(row, self._deployment_of(row.deployment), tx))
            tx.spending.update(replace(row, booked=True, error=row.error or "interrupted"))
        return 1
