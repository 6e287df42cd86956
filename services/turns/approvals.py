"""Turns that wait for an approval: given up by their run, decided, and run on by any replica."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from core.errors import Exhausted
from core.identifiers import Seconds, TenantId, TurnId
from core.ports.event_codec import EventCodec
from core.ports.state import EVERY_TENANT, State, StoreUnavailable, Transaction
from core.turns.events import ApprovalRequired
from core.turns.leases import local_lease_end
from core.turns.rows import Decision, Turn, TurnState
from core.turns.transcript import Transcript
from core.turns.waiting import decided, may_decide, may_wait, may_wake, waiting, woken
from services.turns.admission import Admission
from services.turns.logged import transcript_of, whole_log
from services.turns.orphans import Orphans
from services.turns.replica import Replica
from services.turns.run import Start
from services.turns.runs import Producer, Runs
from services.turns.settlement import DeploymentOf, book
from services.turns.timings import TurnTimings
from services.turns.writing import Writing


@dataclass(frozen=True, slots=True)
class Wait:
    """The step that gives a turn up until `required` is decided; see Run.pause.

    A turn that is to stop does not wait: its row comes back with the wish in it.
    """

    required: ApprovalRequired
    transcript: Transcript
    deployment_of: DeploymentOf

    async def apply(self, tx: Transaction, row: Turn, writing: Writing) -> Turn:
        """See Step."""
        if not may_wait(row):
            return row
        await book(tx, row, self.transcript, self.deployment_of, writing)
        writing.closing.append(self.required)
        return waiting(row, self.required.approval, self.required.expires, tx.now)


class Approvals:
    """Decides and wakes. A turn is woken once, by whoever comes first."""

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        runs: Runs,
        orphans: Orphans,
        admission: Admission,
        replica: Replica,
        timings: TurnTimings,
        go_on: Producer,
    ) -> None:
        self._state = state
        self._codec = codec
        self._runs = runs
        self._orphans = orphans
        self._admission = admission
        self._replica = replica
        self._timings = timings
        self._go_on = go_on
        self._ending = False
        self.under_way: set[asyncio.Task[bool]] = set()

    def wake_no_more(self) -> None:
        """This replica is ending: leave what waits to the others."""
        self._ending = True

    async def decide(
        self, tenant: TenantId, turn: TurnId, approval: str, decision: Decision
    ) -> bool:
        """Note what came of the approval, and run the turn on; False where it was not awaited."""
        async with self._state.transaction(tenant) as tx:
            row = (await tx.turns.lock([turn])).get(turn)
            if row is None or not may_decide(row, approval):
                return False
            tx.turns.update(decided(row, decision))
        await self.wake_if_due(row)
        return True

    async def wake_if_due(self, turn: Turn, *, wait: bool = True) -> bool:
        """Run the turn on here if it is decided or has waited long enough; whether it is so.

        Not where this replica is full or ending: then any that has room does it later. A caller
        who leaves meanwhile leaves no turn without a runner: the wake goes on alone.
        """
        if self._ending:
            return False
        waking = asyncio.get_running_loop().create_task(self._wake_up(turn, wait=wait))
        self.under_way.add(waking)
        waking.add_done_callback(self._hear)
        return await asyncio.shield(waking)

    def _hear(self, waking: asyncio.Task[bool]) -> None:
        """Take note of how it ended, so that nobody else reports an error nobody waited for."""
        self.under_way.discard(waking)
        if not waking.cancelled():
            waking.exception()

    async def _wake_up(self, turn: Turn, *, wait: bool) -> bool:
        place = self._admission.place(turn.tenant)
        try:
            place.take()
        except Exhausted:
            return False
        start: Start | None = None
        try:
            start = await self._until_known(turn.id, wait=wait)
        finally:
            if start is None:
                place.give_back()
        if start is None:
            return False
        self._orphans.announce(turn, start.turn)
        self._runs.start(start, self._go_on)
        return True

    async def _until_known(self, turn: TurnId, *, wait: bool) -> Start | None:
        """Try to wake it until it is known what came of it, for a while.

        A try that began in that while is followed by another, whenever it fails: this process may
        have stood still over it. Deadline and lease count from the first, as its row may.
        """
        timings, monotonic = self._timings, self._replica.clock.monotonic
        nonce, began = self._replica.new_id("wake"), monotonic()
        deadline = Seconds(began + timings.turn_maximum)
        lease_end = local_lease_end(self._replica.boottime(), timings.lease, timings.lease_margin)
        in_doubt = False
        while True:
            tried = monotonic()
            try:
                found = await self._wake(turn, nonce, wait=wait or in_doubt)
            except StoreUnavailable as away:
                in_doubt |= not away.outcome_known
                if not in_doubt or tried >= began + timings.settle_budget:
                    raise  # if it was woken, its lease runs out
                await asyncio.sleep(timings.retry_store)
            else:
                return found and Start(found[0], deadline, lease_end, found[1])

    async def _wake(
        self, turn: TurnId, nonce: str, *, wait: bool
    ) -> tuple[Turn, Transcript] | None:
        """The woken row, and what was said before it waited; None where it is not to be woken."""
        timings = self._timings
        async with self._state.transaction(EVERY_TENANT) as tx:
            row = (await tx.turns.lock([turn], wait=wait)).get(turn)
            if row is not None and may_wake(row, tx.now):
                row = woken(
                    row,
                    owner=self._replica.boot,
                    nonce=nonce,
                    lease_until=tx.now + timedelta(seconds=timings.lease),
                    deadline_at=tx.now + timedelta(seconds=timings.turn_maximum),
                )
                tx.turns.update(row)
            elif row is None or row.claim_nonce != nonce or row.state is not TurnState.RUNNING:
                return None  # else the reply to our own wake was lost
            log = [event async for event in whole_log(tx, row)]
        return row, transcript_of(self._codec, log)
