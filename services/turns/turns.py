"""Turns as the other services see them: claimed, read, looked at, cancelled, settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from decimal import Decimal

from core.call import Call, CallFacts
from core.chat import ChatRequest
from core.clock import Clock, NewId
from core.errors import NotFound, Reason, Unavailable
from core.identifiers import BootId, MessageId, RequestId, Seconds, TurnId
from core.ports.event_codec import EventCodec
from core.ports.state import State, Transaction
from core.turns.rows import CHAT, EndReason, IdempotencyKey, Turn, TurnFailure
from core.turns.transcript import Transcript
from services.turns.admission import Admission
from services.turns.claims import Claim, Claims
from services.turns.logged import transcript_of, whole_log
from services.turns.orphans import Orphans
from services.turns.reading import Batch, Readers, TurnFailed, check_position
from services.turns.run import Ending, Run
from services.turns.settlement import DeploymentOf, Settlement
from services.turns.timings import TurnTimings
from services.turns.writer import TurnWriter

Produce = Callable[[Call, ChatRequest, Run, TurnFailure | None], Awaitable[EndReason]]
"""What a run does: emit events until the answer has ended; the reason is returned."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn as it stands: its row, and what its log says."""

    turn: Turn
    transcript: Transcript
    encoded_events: bytes


class Turns:
    """The turn protocol of one process. Open it before use, drain it, then close it."""

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        clock: Clock,
        new_id: NewId,
        boot: BootId,
        admission: Admission,
        deployment_of: DeploymentOf,
        timings: TurnTimings,
    ) -> None:
        self._state = state
        self._codec = codec
        self._clock = clock
        self._new_id = new_id
        self._timings = timings
        self._admission = admission
        self._deployment_of = deployment_of
        self._runs: dict[TurnId, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = TurnWriter(state, codec, clock, timings)
        self._orphans = Orphans(
            state, codec, new_id, boot, deployment_of, timings, self._runs.__contains__
        )
        self._claims = Claims(state, admission, self._orphans, clock, new_id, boot, timings)
        self._readers = Readers(state, self._runs.get, self._orphans, timings)
        self._draining = False
        self._interrupting = False

    async def open(self, *, alone: bool = True) -> int:
        """Settle what an earlier life of this data folder left, and begin to write.

        Only a process that is `alone` on the store may: else the others' turns are theirs.
        Returns how many turns were settled.
        """
        settled = await self._orphans.settle_all() if alone else 0
        self._writer.start()
        return settled

    async def drain(self, patience: Seconds) -> None:
        """Take no more turns; let those that run end, and interrupt what is left after it."""
        self._draining = True
        until = self._clock.monotonic() + patience
        await self._wait_for_runs(until)
        self._interrupting = True
        for run in self._runs.values():
            run.stop(EndReason.INTERRUPTED)
        await self._wait_for_runs(self._clock.monotonic() + self._timings.settle_budget)

    async def _wait_for_runs(self, until: float) -> None:
        """Wait until no run goes on, those included whose claims are under way."""
        while going_on := self._tasks | self._claims.under_way:
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            await asyncio.wait(going_on, timeout=left)

    async def close(self) -> None:
        """Write what is buffered, then stop."""
        await self._writer.close()

    async def stream(
        self, call: Call, request: ChatRequest, produce: Produce
    ) -> AsyncGenerator[Batch, None]:
        """The turn of this request, claimed or attached to, read from its first event.

        A turn that was abandoned just before this call came is claimed again, once.
        """
        seen = 0
        for last_try in (False, True):
            turn, mine = await self._attach_or_start(call, request, produce)
            try:
                async with aclosing(self.read(call, turn.id, seen)) as batches:
                    async for batch in batches:
                        seen = batch.last
                        yield batch
                return
            except TurnFailed as failed:
                again = failed.rerunnable and failed.reason is Reason.TURN_ABANDONED
                if mine or last_try or not again:
                    raise

    async def read(self, call: Call, turn: TurnId, after: int) -> AsyncGenerator[Batch, None]:
        """Follow a turn from the event after number `after`."""
        principal, run = call.principal, self._runs.get(turn)
        call.facts.turn_id = turn
        try:
            async with aclosing(
                self._readers.read(principal.tenant, principal.user, turn, after)
            ) as batches:
                async for batch in batches:
                    yield batch
        finally:
            if run is not None:
                _note(call.facts, run)

    async def row(self, call: Call, turn: TurnId) -> Turn:
        """The turn's row, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await _own(view, call, turn)

    async def view(self, call: Call, turn: TurnId, *, with_events: bool) -> TurnView:
        """The turn as it stands, from one snapshot; one that nobody runs is settled first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            nobodys = self._orphans.is_due(await _own(view, call, turn), view.now)
        if nobodys:
            await self._orphans.settle_if_due(turn)
        async with self._state.snapshot(call.principal.tenant) as view:
            row = await _own(view, call, turn)
            if with_events:
                check_position(row, 0)
            log = [event async for event in whole_log(view, row)]
        call.facts.turn_id, call.facts.request_id = row.id, row.request_id
        encoded = b"".join(event.body for event in log) if with_events else b""
        return TurnView(row, transcript_of(self._codec, log), encoded)

    async def find(self, call: Call, request_id: RequestId) -> TurnId:
        """The turn that the caller's own request id stands for."""
        principal = call.principal
        key = IdempotencyKey(principal.tenant, principal.user, CHAT, request_id)
        async with self._state.snapshot(principal.tenant) as view:
            record = await view.idempotency.find(key)
        if record is None:
            raise NotFound("turn", request_id)
        return record.turn

    async def cancel(self, call: Call, turn: TurnId) -> None:
        """Note the wish to stop, then stop the run where it is here. Ended: nothing happens."""
        async with self._state.transaction(call.principal.tenant) as tx:
            await _own(tx, call, turn)
            row = (await tx.turns.lock([turn]))[turn]
            if row.state.ended:
                return
            row = replace(row, cancel=EndReason.CANCELLED)
            tx.turns.update(row)
            await self._orphans.take_over_if_due(tx, row)
        run = self._runs.get(turn)
        if run is not None:
            run.stop(EndReason.CANCELLED)

    async def _attach_or_start(
        self, call: Call, request: ChatRequest, produce: Produce
    ) -> tuple[Turn, bool]:
        if self._draining:
            raise Unavailable("this server is shutting down; send again to another one")
        claim = await self._claims.attach_or_claim(
            call, request, lambda claim: self._start(call, request, claim, produce)
        )
        call.facts.request_id = claim.turn.request_id
        call.facts.attached = not claim.mine
        run = self._runs.get(claim.turn.id)
        if request.detach and run is not None:
            run.detach()
        return claim.turn, claim.mine

    def _start(self, call: Call, request: ChatRequest, claim: Claim, produce: Produce) -> None:
        """Begin a run: a task that no call owns."""
        deadline = Seconds(self._clock.monotonic() + claim.time)
        run = Run(claim.turn, self._writer.mark, deadline, self._clock, self._timings)
        if self._interrupting:
            run.stop(EndReason.INTERRUPTED)
        self._runs[claim.turn.id] = run
        self._writer.watch(run.log)
        supervised = run.supervise(
            lambda run: produce(call, request, run, claim.previous), self._settlement
        )
        task = asyncio.get_running_loop().create_task(supervised, name=f"run-{claim.turn.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(run, done))

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._writer.forget(run.log)
        self._admission.give_back(run.turn.tenant)
        if self._runs.get(run.turn.id) is run:  # else the next run of the turn is there already
            del self._runs[run.turn.id]

    def _settlement(self, run: Run, ending: Ending) -> Settlement:
        return Settlement(
            reason=ending.reason,
            failure=ending.failure,
            transcript=run.transcript,
            answer_id=MessageId(self._new_id("msg")),
            deployment_of=self._deployment_of,
            latencies=run.latencies,
        )


def _note(facts: CallFacts, run: Run) -> None:
    """What the log line of a call says of the turn that it read."""
    seen = run.transcript
    facts.prompt_version = seen.started.prompt_version if seen.started else facts.prompt_version
    facts.model_version = seen.model
    facts.retrieved_doc_ids = tuple(dict.fromkeys(str(p.chunk.document) for p in seen.passages))
    facts.validation_status = seen.verdict.status.name if seen.verdict else ""
    counted = [n for used in seen.used for n in (used.usage.prompt, used.usage.completion) if n]
    facts.token_count = sum(counted) if seen.used else None
    costs = [used.cost for used in seen.used if used.cost is not None]
    if seen.used and len(costs) == len(seen.used):
        facts.cost, facts.currency = sum(costs, Decimal(0)), seen.used[-1].currency


async def _own(tx: Transaction, call: Call, id: TurnId) -> Turn:
    turn = await tx.turns.get(id)
    if turn is None or turn.user != call.principal.user:
        raise NotFound("turn", id)
    return turn
