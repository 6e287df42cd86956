"""What every replica does each second, so that every turn ends though nobody asks for it.

Turns whose owner is gone are settled, those that waited long enough run on, rows of readers that
went without a word are deleted, ids are forgotten, logs are compacted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from core.identifiers import Seconds, TenantId, TurnId
from core.ports.state import EVERY_TENANT, State, StoreConflict, StoreUnavailable
from core.turns.retention import compacted, forgotten, may_compact, may_forget
from core.turns.rows import ReaderRow, Turn
from services.turns.approvals import Approvals
from services.turns.orphans import Orphans
from services.turns.replica import Replica, StoreContact
from services.turns.timings import TurnTimings

_NO_TURN, _NO_TENANT = TurnId(""), TenantId("")
"""Of the reader's row that only says that its replica can write."""


class Sweeper:
    """Sweeps until it is closed. A store that is away is tried again at the next round."""

    def __init__(
        self,
        state: State,
        orphans: Orphans,
        approvals: Approvals,
        replica: Replica,
        contact: StoreContact,
        timings: TurnTimings,
    ) -> None:
        self._state = state
        self._orphans = orphans
        self._approvals = approvals
        self._boot = replica.boot
        self._boottime = replica.boottime
        self._draw = replica.draw
        self._contact = contact
        self._timings = timings
        self._hurries = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep; needs the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="turn-sweeper")

    async def close(self) -> None:
        """Stop, in the middle of whatever it is. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        while True:
            for part in (self._orphaned, self._others):
                await self._safely(part())
            await asyncio.sleep(self._rest())

    def _rest(self) -> float:
        """How long until the next sweep.

        Less while something has to be ended and this replica has been out of touch with the store:
        of two sweeps as far apart as they usually are, one slow answer is enough to break contact
        again.
        """
        timings = self._timings
        spread = timings.sweep_spread * (2 * self._draw() - 1)
        return (min(timings.sweep, timings.poll) if self._hurries else timings.sweep) * (1 + spread)

    async def _safely(self, work: Awaitable[object]) -> None:
        """Do it as far as it goes: one turn that cannot be handled does not keep the others."""
        try:
            await work
        except (StoreUnavailable, StoreConflict):
            return
        except Exception as error:  # noqa: BLE001 - a bug is reported, and the sweeping goes on
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a sweep of the turns failed", "exception": error}
            )

    async def _orphaned(self) -> None:
        """End what nobody runs.

        The write that comes first proves contact: it needs all that owners' renewals need, room on
        the disk too. So it always changes a row, this replica's own.
        """
        async with self._state.transaction(EVERY_TENANT) as tx:
            now = tx.now
            expires = now + timedelta(seconds=self._timings.reader_row)
            tx.readers.put(ReaderRow(_NO_TURN, _NO_TENANT, self._boot, expires))
            tx.readers.expire(now)
            due = await tx.turns.due(now, self._before(now, self._timings.hard), self._limit)
            sent = self._boottime()  # the commit that proves contact comes after it
        self._contact.reached(sent)
        self._hurries = bool(due) and not self._contact.covers_lease()
        for turn in due:
            if self._orphans.is_due(turn, now):
                await self._safely(self._orphans.settle_if_due(turn.id, wait=False))

    async def _others(self) -> None:
        """Whatever else has become due."""
        timings, limit = self._timings, self._limit
        async with self._state.snapshot(EVERY_TENANT) as view:
            now = view.now
            awake = await view.turns.to_wake(now, limit)
            old = await view.turns.to_forget(self._before(now, timings.id_retention), limit)
            older = await view.turns.to_compact(self._before(now, timings.log_retention), limit)
        await self._each(awake, self._wake)
        await self._each(old, self._forget)
        await self._each(older, self._compact)

    async def _each(self, turns: Sequence[Turn], work: Callable[[Turn], Awaitable[object]]) -> None:
        for turn in turns:
            await self._safely(work(turn))

    async def _wake(self, turn: Turn) -> None:
        if turn.cancel is not None:
            await self._orphans.end_waiting(turn.id)
        else:
            await self._approvals.wake_if_due(turn, wait=False)

    async def _forget(self, turn: Turn) -> None:
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn.id], wait=False)).get(turn.id)
            if row is not None and may_forget(row, tx.now, self._timings.id_retention):
                tx.idempotency.forget(row)
                tx.turns.update(forgotten(row))

    async def _compact(self, turn: Turn) -> None:
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn.id], wait=False)).get(turn.id)
            if row is not None and may_compact(row, tx.now, self._timings.log_retention):
                tx.events.delete(row)
                tx.turns.update(compacted(row))

    @property
    def _limit(self) -> int:
        return self._timings.sweep_turns

    @staticmethod
    def _before(now: datetime, seconds: Seconds) -> datetime:
        return now - timedelta(seconds=seconds)
