"""Attempts of a turn that runs here: put on record, and ended, in the commits of its own events.

A commit of their own would cost each of them as much again as all that a short turn writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from core.catalog import Deployment
from core.generation import TokenUsage
from core.ports.model_gateway import SpendingUnit
from core.ports.state import Transaction
from core.prices import most_cost
from core.turns.rows import Attempt, Turn
from services.turns.run_log import Step
from services.turns.writing import Writing

NOTHING = TokenUsage(0, 0)
"""What an attempt used that was put on record and never called."""

Ride = Callable[[SpendingUnit, Step, bool], asyncio.Future[Turn] | None]
"""Has a step committed with what the unit's run writes next; True: at once, and nothing later
with it. None where no run of this epoch goes on in this process.
"""


def ride_nowhere(_: SpendingUnit, __: Step, ___: bool) -> None:
    """A Ride for who hosts no turns."""


@dataclass(slots=True)
class Wanted:
    """An attempt that is to be put on record. `given_up` are numbers whose fate is unknown.

    `fresh`: nobody has begun one of the unit before.
    """

    unit: SpendingUnit
    deployment: Deployment
    prompt_tokens: int
    max_output: int
    fresh: bool = False
    given_up: list[int] = field(default_factory=list)

    async def record(self, tx: Transaction, writing: Writing) -> Attempt:
        """Put it on record, and close what an earlier try may have written."""
        unit = self.unit
        known = await writing.attempts(tx, unit.id, begins=True)
        for row in known:
            if is_mine(row, unit) and row.number in self.given_up:
                writing.change(replace(row, used=NOTHING))
        number = max((*self.given_up, *(row.number for row in known)), default=0) + 1
        self.given_up.append(number)
        attempt = Attempt(
            unit=unit.id,
            number=number,
            tenant=unit.tenant,
            run=unit.run,
            epoch=unit.epoch or 0,
            deployment=self.deployment.name,
            prompt_tokens=self.prompt_tokens,
            reserved=most_cost(self.prompt_tokens, self.max_output, self.deployment.prices),
            began_at=tx.now,
            user=unit.user,
            feature=unit.feature,
            key=unit.key,
            holder=unit.holder,
        )
        writing.begin(attempt)
        return attempt


def is_mine(row: Attempt, unit: SpendingUnit) -> bool:
    """A number whose commit failed may by now be another run's."""
    return row.epoch == (unit.epoch or 0)


class Begin:
    """The step that puts an attempt on record, unless the turn is to stop: then `attempt` is None.

    The run's fence stands before it.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.attempt: Attempt | None = None
        self._wanted = wanted

    async def apply(self, tx: Transaction, row: Turn, writing: Writing) -> Turn:
        """See Step."""
        self.attempt = await self._wanted.record(tx, writing) if row.cancel is None else None
        return row


class End:
    """The step that writes what an attempt came to.

    While the run's fence holds, nobody else has written its row since it was begun. `applied`
    stays False where the turn has ended before: then the ledger has to be looked at too.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.applied = False
        self._attempt = attempt

    async def apply(self, _: Transaction, row: Turn, writing: Writing) -> Turn:
        """See Step."""
        writing.change(self._attempt)
        self.applied = True
        return row
