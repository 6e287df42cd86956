"""Turns whose process died: settled by whoever comes, with what their log holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from core.clock import NewId
from core.identifiers import BootId, MessageId, TurnId
from core.ports.event_codec import EventCodec
from core.ports.state import EVERY_TENANT, State, Transaction
from core.turns.events import TurnEvent
from core.turns.outcome import may_be_taken_over
from core.turns.rows import Turn, TurnState
from services.turns.logged import numbered, transcript_of, whole_log
from services.turns.settlement import DeploymentOf, Settlement
from services.turns.timings import TurnTimings

_BATCH = 100

MayTakeOver = Callable[[Turn, datetime], bool]


class Orphans:
    """Takes over and settles. Every row that it changes gets a new epoch first.

    `runs_here` tells whether this process has a live runner for a turn.
    """

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        new_id: NewId,
        boot: BootId,
        deployment_of: DeploymentOf,
        timings: TurnTimings,
        runs_here: Callable[[TurnId], bool],
    ) -> None:
        self._state = state
        self._codec = codec
        self._new_id = new_id
        self._boot = boot
        self._deployment_of = deployment_of
        self._timings = timings
        self._runs_here = runs_here

    async def settle_all(self) -> int:
        """Settle every RUNNING turn: for a start-up that holds the data folder alone.

        Whoever ran them is dead, as the lock proves; no lease has to be waited for.
        """
        count = 0
        while True:
            async with self._state.snapshot(EVERY_TENANT) as view:
                running = await view.turns.running(_BATCH)
            settled = 0
            for turn in running:
                settled += await self._settle(turn.id, lambda row, _: row.owner != self._boot)
            count += settled
            if len(running) < _BATCH or not settled:
                return count

    def is_due(self, row: Turn, now: datetime) -> bool:
        """Whether the turn is RUNNING for want of anyone who ends it, and may be ended here."""
        return not self._runs_here(row.id) and may_be_taken_over(row, now, self._timings.hard)

    async def settle_if_due(self, turn: TurnId) -> bool:
        """Settle one turn if it is an orphan; whether it was."""
        return await self._settle(turn, self.is_due)

    async def take_over_if_due(self, tx: Transaction, locked: Turn) -> Turn:
        """The locked row as it is now: settled in this transaction if it was an orphan."""
        return await self._take_over(tx, locked) if self.is_due(locked, tx.now) else locked

    async def _settle(self, turn: TurnId, may: MayTakeOver) -> bool:
        """Settle one turn if `may` still agrees once its row is locked; whether it did."""
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn])).get(turn)
            if row is None or row.state is not TurnState.RUNNING or not may(row, tx.now):
                return False
            await self._take_over(tx, row)
        return True

    async def _take_over(self, tx: Transaction, row: Turn) -> Turn:
        row = replace(row, epoch=row.epoch + 1, owner=self._boot)
        log = [event async for event in whole_log(tx, row)]
        settlement = Settlement(
            reason=None,
            failure=None,
            transcript=transcript_of(self._codec, log),
            answer_id=MessageId(self._new_id("msg")),
            deployment_of=self._deployment_of,
        )
        closing: list[TurnEvent] = []
        row = await settlement.apply(tx, row, closing)
        last = numbered(self._codec, closing, first=row.next_seq, run=row.run, epoch=row.epoch)
        tx.events.append(row, last)
        row = replace(row, next_seq=row.next_seq + len(last))
        tx.turns.update(row)
        return row
