"""This replica's readers of turns that run elsewhere: one row a turn, kept while anybody reads.

A task of each such turn writes the row, renews it with each poll, looks what has changed, and
takes the row back when the last reader has gone, however slow those readers are.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from core.identifiers import Seconds, TenantId, TurnId
from core.ports.bus import Notice, OwnerWanted, TurnChanged
from core.ports.state import State, StoreConflict, StoreUnavailable
from core.turns.rows import ReaderRow, Turn
from services.turns.orphans import Orphans
from services.turns.replica import Replica
from services.turns.timings import TurnTimings


class Presence:
    """The readers of one turn on this replica, and what they wait for."""

    def __init__(self, tenant: TenantId, turn: TurnId) -> None:
        self.tenant = tenant
        self.turn = turn
        self.readers = 0
        self.changes = 0
        """Counts what may have changed: who has read since knows whether to wait."""
        self.written = asyncio.Event()
        """The row is in the store, or not needed since the turn has ended."""
        self.deserted = asyncio.Event()
        """The last reader has gone."""
        self.over = False
        """A reader has seen the turn's end: its rows are gone, and nobody has to be told."""
        self._failure: StoreUnavailable | None = None
        self._changed: asyncio.Future[None] | None = None

    async def registered(self) -> None:
        """Wait until this replica counts as reading the turn. Raises StoreUnavailable."""
        await self.written.wait()
        self._check()

    async def changed(self, since: int) -> None:
        """Wait until `changes` is more than that. Raises StoreUnavailable."""
        if self.changes == since and self._failure is None:
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)
        self._check()

    def wake(self) -> None:
        """Have every reader look at the log."""
        self.changes += 1
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    def leave(self) -> None:
        """A reader has gone."""
        self.readers -= 1
        if self.readers == 0:
            self.deserted.set()

    def fail(self, failure: StoreUnavailable | None) -> None:
        """Nothing can be learnt of the turn, which every reader is told; None: again it can."""
        self._failure = failure
        if failure is not None:
            self.written.set()
            self.wake()

    def _check(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(self._failure.message)


class Presences:
    """Every such turn of this replica."""

    def __init__(
        self, state: State, orphans: Orphans, replica: Replica, timings: TurnTimings
    ) -> None:
        self._state = state
        self._bus = replica.bus
        self._orphans = orphans
        self._boot = replica.boot
        self._timings = timings
        self._monotonic = replica.clock.monotonic
        self._present: dict[TurnId, Presence] = {}
        self._away_since: dict[Presence, Seconds] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, tenant: TenantId, turn: TurnId) -> Presence:
        """One more reader of a turn that runs elsewhere; it must leave again."""
        presence = self._present.get(turn)
        if presence is None:
            presence = self._present[turn] = Presence(tenant, turn)
            task = asyncio.get_running_loop().create_task(self._keep(presence), name="presence")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        presence.readers += 1
        presence.over = False
        presence.deserted.clear()
        return presence

    async def close(self) -> None:
        """Wait a moment for the rows of readers that have gone; what is left expires."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timings.poll)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep(self, presence: Presence) -> None:
        def heard(_: Notice) -> None:
            presence.wake()

        unsubscribe = self._bus.subscribe(TurnChanged(presence.tenant, presence.turn), heard)
        try:
            await self._follow(presence)
        finally:
            unsubscribe()
            if self._present.get(presence.turn) is presence:
                del self._present[presence.turn]
            self._away_since.pop(presence, None)
            presence.fail(StoreUnavailable("this process is ending"))

    async def _follow(self, presence: Presence) -> None:
        """Poll until nobody reads here any more."""
        known: Turn | None = None
        while True:
            while presence.readers:
                known = await self._poll(presence, known)
                await self._rest(presence)
            presence.written.clear()
            await self._leave(presence, known)
            if not presence.readers:
                return

    async def _poll(self, presence: Presence, known: Turn | None) -> Turn | None:
        """Write the row, look at the turn, end it if nobody else does; the turn as it is now."""
        try:
            row, due = await self._renew(presence)
            if row is not None and due:
                await self._orphans.settle_if_due(row.id)
        except (StoreUnavailable, StoreConflict) as failure:
            self._note_failure(presence, failure)
            return known
        self._away_since.pop(presence, None)
        presence.fail(None)
        if row is not None and not presence.written.is_set():
            self._call_owner(row)
        presence.written.set()
        if row is None or known is None or due or _differs(row, known):
            presence.wake()
        return row

    def _note_failure(self, presence: Presence, failure: StoreUnavailable | StoreConflict) -> None:
        """Readers wait for a store that is away, though not for ever."""
        now = self._monotonic()
        since = self._away_since.setdefault(presence, now)
        if isinstance(failure, StoreUnavailable) and now - since > self._timings.hold:
            presence.fail(failure)

    async def _renew(self, presence: Presence) -> tuple[Turn | None, bool]:
        async with self._state.transaction(presence.tenant) as tx:
            row = (await tx.turns.lock([presence.turn])).get(presence.turn)
            if row is None or row.state.ended:
                return row, False
            expires = tx.now + timedelta(seconds=self._timings.reader_row)
            tx.readers.put(ReaderRow(row.id, row.tenant, self._boot, expires))
            return row, self._orphans.is_due(row, tx.now)

    async def _rest(self, presence: Presence) -> None:
        try:
            async with asyncio.timeout(self._timings.poll):
                await presence.deserted.wait()
        except TimeoutError:
            return

    async def _leave(self, presence: Presence, known: Turn | None) -> None:
        """Take the row back, and tell the owner, who may now be lonely."""
        if presence.over or known is None or known.state.ended:
            return
        try:
            async with self._state.transaction(presence.tenant) as tx:
                tx.readers.leave(presence.turn, self._boot)
        except StoreUnavailable:
            return  # it expires by itself
        self._call_owner(known)

    def _call_owner(self, row: Turn) -> None:
        if row.owner and row.owner != self._boot:
            self._bus.publish(OwnerWanted(row.owner, row.tenant, row.id))


def _differs(row: Turn, known: Turn) -> bool:
    """Whether a reader has something to look at; the lease alone is nothing."""
    return replace(row, lease_until=known.lease_until) != known
