"""Turns as the other services see them: claimed, read, looked at, cancelled, settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from core.call import Call, CallFacts
from core.chat import ChatRequest
from core.errors import NotFound, Unavailable
from core.identifiers import RequestId, Seconds, TurnId
from core.ports.event_codec import EventCodec
from core.ports.state import State, Transaction
from core.turns.rows import Decision, EndReason, Turn, TurnState
from core.turns.stopping import cancelled
from services.turns.admission import Admission
from services.turns.approvals import Approvals
from services.turns.claiming import Claim, NewTurns
from services.turns.claims import Claims
from services.turns.following import Asking, Check, Produce
from services.turns.fresh_claims import FreshClaims
from services.turns.lookup import Lookup, TurnView, own
from services.turns.orphans import Orphans
from services.turns.presence import Presences
from services.turns.reading import Batches, Find, Readers, Reading
from services.turns.replica import Replica, StoreContact
from services.turns.run import Run, Start
from services.turns.runs import Producer, Runs
from services.turns.seat import Seat
from services.turns.settlement import DeploymentOf
from services.turns.sweeper import Sweeper
from services.turns.tick import Tick
from services.turns.timings import TurnTimings
from services.turns.writer import TurnWriter

__all__ = ["Produce", "TurnView", "Turns"]


async def interrupted(_: Run) -> EndReason:
    """How a turn goes on that was woken where nothing knows how to."""
    return EndReason.INTERRUPTED


def _nothing() -> None:
    pass


class Turns:
    """The turn protocol of one process. Open it before use, drain it, then close it.

    `go_on` is what runs a turn on that has waited for an approval. By its `tick` text is committed
    that follows other text.
    """

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        replica: Replica,
        admission: Admission,
        deployment_of: DeploymentOf,
        timings: TurnTimings,
        go_on: Producer = interrupted,
    ) -> None:
        contact = StoreContact(replica.boottime, timings)
        self._state = state
        self._replica = replica
        self._timings = timings
        new_turns = NewTurns(replica, timings)
        fresh = FreshClaims(new_turns)
        self.tick = Tick(timings.tick)
        self._writer = TurnWriter(state, codec, replica, contact, timings, fresh, self.tick)
        self._runs = Runs(self._writer, admission, replica, deployment_of, timings)
        self._orphans = Orphans(state, codec, replica, contact, deployment_of, timings, self._runs)
        self._claims = Claims(state, admission, self._orphans, replica, timings, fresh, new_turns)
        self._presences = Presences(state, self._orphans, replica, timings)
        self._readers = Readers(state, self._runs.get, self._presences, replica, timings)
        self._approvals = Approvals(
            state, codec, self._runs, self._orphans, admission, replica, timings, go_on
        )
        self._sweeper = Sweeper(state, self._orphans, self._approvals, replica, contact, timings)
        self._lookup = Lookup(state, codec, self._orphans)
        self.hold_lease = self._runs.hold
        """See Runs.hold: to be asked right before a provider or a tool is called for a turn."""
        self.ride = self._runs.ride
        """See Runs.ride: for what is written about a turn by who spends for it."""
        self._leave_bus: Callable[[], None] = _nothing
        self._draining = False

    async def open(self, *, alone: bool) -> int:
        """Begin to write, to sweep, and to listen.

        `alone` says that no other process of this store lives, as the lock of the data folder
        proves: then what an earlier life left is settled at once. Returns how many turns were.
        """
        settled = await self._orphans.settle_all() if alone else 0
        self._writer.start()
        self._leave_bus = self._replica.bus.subscribe(self._replica.boot, self._runs.heard)
        self._sweeper.start()
        return settled

    async def drain(self, patience: Seconds) -> None:
        """Take no more turns; let those that run end, and interrupt what is left after it."""
        self._draining = True
        self._approvals.wake_no_more()
        now = self._replica.clock.monotonic
        await self._wait_for_runs(now() + patience)
        self._runs.interrupt()
        await self._wait_for_runs(now() + self._timings.settle_budget)

    async def _wait_for_runs(self, until: float) -> None:
        """Wait until no run goes on, those included whose claims or wakes are under way."""
        while going_on := (self._runs.tasks | self._claims.under_way | self._approvals.under_way):
            left = until - self._replica.clock.monotonic()
            if left <= 0:
                return
            await asyncio.wait(going_on, timeout=left)

    async def close(self) -> None:
        """Write what is buffered, then stop."""
        await self._sweeper.close()
        self._leave_bus()
        await self._writer.close()
        await self._presences.close()

    def stream(
        self, call: Call, request: ChatRequest, produce: Produce, check: Check | None = None
    ) -> Batches:
        """The turn of this request, claimed or attached to, read from its first event."""
        asking = Asking(self, call, request, produce, check)
        return Reading(self._readers, asking.find, 0, asking.again)

    def read(self, find: Find, after: int) -> Batches:
        """Follow the turn that is found from the event after number `after`; see Reading."""
        return Reading(self._readers, find, after)

    def seat(self, call: Call, turn: TurnId) -> Seat:
        """A seat at the turn for this call's reader."""
        facts, principal, run = call.facts, call.principal, self._runs.get(turn)
        facts.turn_id = turn
        left = None if run is None else partial(_note, facts, run)
        return self._readers.seat(principal.tenant, principal.user, turn, left)

    async def row(self, call: Call, turn: TurnId) -> Turn:
        """See Lookup.row."""
        return await self._lookup.row(call, turn)

    async def view(self, call: Call, turn: TurnId, *, with_events: bool) -> TurnView:
        """See Lookup.view."""
        return await self._lookup.view(call, turn, with_events=with_events)

    async def find(self, call: Call, request_id: RequestId) -> TurnId:
        """See Lookup.find."""
        return await self._lookup.find(call, request_id)

    async def cancel(self, call: Call, turn: TurnId) -> None:
        """Note the wish to stop; what nobody runs ends with it. Ended: nothing happens."""
        async with self._state.transaction(call.principal.tenant) as tx:
            await own(tx, call, turn)
            before = (await tx.turns.lock([turn])).get(turn)
            if before is None:  # it was deleted with its conversation just now
                raise NotFound("turn", turn)
            after = await self._cancelled(tx, before)
        self._orphans.announce(before, after)
        run = self._runs.get(turn)
        if run is not None and after.cancel is not None:
            run.stop(after.cancel)

    async def _cancelled(self, tx: Transaction, before: Turn) -> Turn:
        row = cancelled(before)
        if before.state is TurnState.WAITING:
            return await self._orphans.end(tx, row)
        tx.turns.update(row)
        return await self._orphans.take_over_if_due(tx, row)

    async def decide(self, call: Call, turn: TurnId, approval: str, decision: Decision) -> bool:
        """See Approvals.decide. Who may decide is the caller's affair."""
        return await self._approvals.decide(call.principal.tenant, turn, approval, decision)

    async def attach_or_start(
        self, call: Call, request: ChatRequest, produce: Produce
    ) -> tuple[TurnId, bool]:
        """See Asked."""
        if self._draining:
            raise Unavailable("this server is shutting down; send again to another one")
        begin = partial(self._start, call, request, produce)
        claim = await self._claims.attach_or_claim(call, request, begin)
        call.facts.request_id = claim.turn.request_id
        call.facts.attached = not claim.mine
        run = self._runs.get(claim.turn.id)
        if request.detach and run is not None:
            run.audience.detach()
        return claim.turn.id, claim.mine

    def _start(self, call: Call, request: ChatRequest, produce: Produce, claim: Claim) -> None:
        self._runs.start(
            Start(claim.turn, claim.deadline, claim.lease_end),
            lambda run: produce(call, request, run, claim.previous),
        )


def _note(facts: CallFacts, run: Run) -> None:
    """What the log line of a call says of the turn that it read."""
    seen = run.transcript
    facts.prompt_version = seen.started.prompt_version if seen.started else facts.prompt_version
    facts.model_version = seen.model
    if seen.passages:
        found = dict.fromkeys(str(passage.chunk.document) for passage in seen.passages)
        facts.retrieved_doc_ids = tuple(found)
    facts.validation_status = seen.verdict.status.name if seen.verdict else ""
    tokens, cost = 0, Decimal(0)
    known = bool(seen.used)
    for used in seen.used:
        tokens += (used.usage.prompt or 0) + (used.usage.completion or 0)
        if used.cost is None:
            known = False
        else:
            cost += used.cost
    facts.token_count = tokens if seen.used else None
    if known:
        facts.cost, facts.currency = cost, seen.used[-1].currency
