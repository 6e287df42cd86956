"""Whether a turn that another process runs may still spend: what its row in the store says."""

from __future__ import annotations

import asyncio

from core.errors import Conflict
from core.identifiers import TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State
from core.turns.fencing import Fence

_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds in which a runner that is late may still renew."""


class RowLease:
    """The hold of a process that is called in the name of turns which others run.

    Anybody may settle a turn whose lease has run out, and nobody is called for one that may be
    settled by then; its runner renews, unless it is gone.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def hold(self, unit: SpendingUnit) -> None:
        """Return while the lease lasts. Raises Conflict where the run has lost its turn."""
        if unit.epoch is None:
            return
        for pause in (*_PAUSES, None):
            if await self._lasts(unit, unit.epoch):
                return
            if pause is not None:
                await asyncio.sleep(pause)
        raise Conflict("the lease of this turn has run out; no provider is called for it")

    async def _lasts(self, unit: SpendingUnit, epoch: int) -> bool:
        async with self._state.snapshot(unit.tenant) as view:
            turn = await view.turns.get(TurnId(unit.id))
            now = view.now
        if turn is None or not Fence(epoch).admits(turn):
            raise Conflict("this run no longer has its turn; no provider is called for it")
        return now < turn.lease_until
