"""Turns whose process died: settled by whoever comes, with what their log holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from core.identifiers import MessageId, TurnId
from core.ports.bus import OwnerWanted, TurnChanged
from core.ports.event_codec import EventCodec
from core.ports.state import EVERY_TENANT, State, Transaction
from core.ports.turn_observer import TakeOver
from core.turns.outcome import is_overdue, may_be_taken_over
from core.turns.rows import Turn, TurnState
from core.turns.waiting import NOBODY
from services.turns.logged import numbered, transcript_of, whole_log
from services.turns.replica import Replica, StoreContact
from services.turns.settlement import DeploymentOf, Settlement
from services.turns.timings import TurnTimings
from services.turns.writing import Writing

_BATCH = 100

MayTakeOver = Callable[[Turn, datetime], bool]


class LocalRuns(Protocol):
    """The live runners of this process."""

    def __contains__(self, turn: TurnId) -> bool:
        """Whether one runs this turn."""

    def lose(self, taken: Turn) -> None:
        """The turn, as it was before, was taken from its runner, who may be here."""


class Orphans:
    """Takes over and settles. Every row that it changes gets a new epoch first."""

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        replica: Replica,
        contact: StoreContact,
        deployment_of: DeploymentOf,
        timings: TurnTimings,
        runs: LocalRuns,
    ) -> None:
        self._state = state
        self._codec = codec
        self._bus = replica.bus
        self._boot = replica.boot
        self._boottime = replica.boottime
        self._new_id = replica.new_id
        self._contact = contact
        self._observer = replica.observer
        self._deployment_of = deployment_of
        self._timings = timings
        self._runs = runs

    async def settle_all(self) -> int:
        """Settle every RUNNING turn: for a start-up that has the store for itself.

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
        """Whether the turn is RUNNING for want of anyone who ends it, and may be ended here.

        A lease that ran out says nothing to a replica that was out of touch with the store
        meanwhile. A runner of our own is only past its hard limit taken for stuck.
        """
        if not may_be_taken_over(row, now, self._timings.hard) or not self._contact.covers_lease():
            return False
        return row.id not in self._runs or is_overdue(row, now, self._timings.hard)

    async def settle_if_due(self, turn: TurnId, *, wait: bool = True) -> bool:
        """Settle one turn if it is an orphan; whether it was.

        Without `wait`, a row that another transaction holds is left to that.
        """
        return await self._settle(turn, self.is_due, wait=wait)

    async def end_waiting(self, turn: TurnId) -> None:
        """End a turn that is to stop while it waits; a row that is held is left for later."""
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn], wait=False)).get(turn)
            if row is None or row.state is not TurnState.WAITING or row.cancel is None:
                return
            ended = await self.end(tx, row)
        self.announce(row, ended)

    async def take_over_if_due(self, tx: Transaction, locked: Turn) -> Turn:
        """The locked row as it is now: settled in this transaction if it was an orphan.

        Once it is committed, `announce` both.
        """
        return await self.end(tx, locked) if self.is_due(locked, tx.now) else locked

    async def end(self, tx: Transaction, locked: Turn) -> Turn:
        """Settle a turn under a new epoch, whoever had it; the row as it became."""
        row = replace(locked, epoch=locked.epoch + 1, owner=self._boot)
        log = [event async for event in whole_log(tx, row)]
        settlement = Settlement(
            reason=None,
            failure=None,
            transcript=transcript_of(self._codec, log),
            answer_id=MessageId(self._new_id("msg")),
            deployment_of=self._deployment_of,
        )
        writing = Writing()
        row = await settlement.apply(tx, row, writing)
        writing.write(tx)
        last = numbered(
            self._codec, writing.closing, first=row.next_seq, run=row.run, epoch=row.epoch
        )
        tx.events.append(row, last)
        row = replace(row, next_seq=row.next_seq + len(last))
        tx.turns.update(row)
        return row

    def announce(self, before: Turn, after: Turn) -> None:
        """Tell readers and the former owner of a change that is committed, if it was one."""
        if after == before:
            return
        self._bus.publish(TurnChanged(after.tenant, after.id))
        if before.owner != NOBODY:
            self._bus.publish(OwnerWanted(before.owner, before.tenant, before.id))
        if before.state is TurnState.RUNNING and after.epoch != before.epoch:
            self._runs.lose(before)
            self._observer.took_over(self._why(before, after))

    async def _settle(self, turn: TurnId, may: MayTakeOver, *, wait: bool = True) -> bool:
        """Settle one turn if `may` still agrees once its row is locked; whether it did."""
        sent = self._boottime()
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn], wait=wait)).get(turn)
            if row is None or row.state is not TurnState.RUNNING or not may(row, tx.now):
                return False
            settled = await self.end(tx, row)
        self._contact.reached(sent)
        self.announce(row, settled)
        return True

    def _why(self, before: Turn, after: Turn) -> TakeOver:
        at = after.ended_at
        if at is None or not may_be_taken_over(before, at, self._timings.hard):
            return TakeOver.START
        overdue = is_overdue(before, at, self._timings.hard)
        return TakeOver.DEADLINE if overdue else TakeOver.LEASE
