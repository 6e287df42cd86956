"""One run of a turn on this process: what it writes to, who reads it, how it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.errors import ColonnadeError, DeadlineExceeded
from core.identifiers import Seconds
from core.ports.state import StoreUnavailable
from core.turns.events import Latencies, Retrieved, Text, TurnEvent, releases
from core.turns.rows import EndReason, Turn, TurnFailure
from core.turns.transcript import Transcript
from services.turns.audience import Audience
from services.turns.replica import Replica
from services.turns.run_log import Lost, Renew, RunLog, Step
from services.turns.settlement import Settlement
from services.turns.tail import Tail
from services.turns.timings import TurnTimings
from services.turns.tool_intent import IntendTool

_TIMER_GRAIN_S = 0.001
"""A loop's timers may fire so much before their time."""


class Paused(Enum):
    """What a producer returns that has given its turn up to wait for somebody's approval."""

    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the producing part of a run ended."""

    reason: EndReason
    failure: TurnFailure | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with: when it has to end, and when its local lease does.

    Both count from before the turn was claimed, so that they end before those of its row.
    """

    turn: Turn
    deadline: Seconds
    lease_end: Seconds
    transcript: Transcript | None = None

    def last_call(self, hard: Seconds) -> Seconds:
        """When nobody may be called for it any more, by the clock that counts suspension.

        From then on anyone may end the turn, and no renewal helps. The row says how much later
        than its first lease that is, and `lease_end` when that lease ends at the earliest.
        """
        after_lease = self.turn.deadline_at - self.turn.lease_until
        return Seconds(self.lease_end + after_lease.total_seconds() + hard)


class Run:
    """What the producer of a run writes through, and everyone else stops it by."""

    def __init__(
        self,
        start: Start,
        mark: Callable[[RunLog, bool | None], None],
        replica: Replica,
        timings: TurnTimings,
    ) -> None:
        turn = start.turn
        self.turn = turn
        self._began = replica.clock.monotonic()
        self.deadline = start.deadline
        self.tail = Tail(turn, timings)
        self.log = RunLog(
            turn,
            self.tail,
            timings,
            mark,
            self._learn,
            start.lease_end,
            self._began,
            Seconds(self.deadline + timings.hard),
        )
        self.audience = Audience(turn.linger, detached=turn.detach, ask=self.log.ask)
        self.transcript = start.transcript or Transcript()
        self._retrieval: Seconds | None = None
        self._first_text: Seconds | None = None
        self._generation: Seconds | None = None
        self._clock = replica.clock
        self._boottime = replica.boottime
        self._timings = timings
        self._last_call = start.last_call(timings.hard)
        self._loop = asyncio.get_running_loop()
        self._stop: EndReason | None = None
        self._roused: asyncio.Future[None] = self._loop.create_future()
        """Done when its production is over, or has to be: ended, stopped, late, or lost."""
        self.log.lost.add_done_callback(self._rouse)

    async def emit(self, event: TurnEvent) -> None:
        """Put an event into the log; waits while the store cannot keep up."""
        if not self._put(event):
            await self.log.room()

    def say(self, text: str) -> bool:
        """The same of text of the answer; False: wait for room in the log before more."""
        return self._put(Text(text))

    def _put(self, event: TurnEvent) -> bool:
        now = self._clock.monotonic()
        has_room = self.log.write(event, now)
        self.transcript.add(event)
        if self._first_text is None:
            self._measure(event, Seconds(now - self._began))
        return has_room

    async def hold_lease(self) -> None:
        """Make sure that the turn is ours, before a provider or a tool is called for it.

        A lease that has run out by our own clock is renewed first. Raises Lost, and
        DeadlineExceeded where the turn is past all its time, though this run has not noticed.
        """
        self._require_time()
        while self._boottime() >= self.log.lease_end:
            await self.log.perform(Renew())
            self._require_time()

    def _require_time(self) -> None:
        """Past its hard limit a turn has no lease, whatever the commits of its run say."""
        if self._boottime() >= self._last_call:
            raise DeadlineExceeded("this turn is past its deadline, and calls nobody")

    async def intend_tool(self) -> None:
        """Write down that a tool may have run, before it is called; the lease is renewed with it.

        Raises Lost where the turn is not ours, or is to stop, and DeadlineExceeded as `hold_lease`.
        """
        row = await self.log.perform(IntendTool())
        self._require_time()
        if row.cancel is not None:
            raise Lost("this turn is to stop, and calls no tool")

    async def pause(self, wait: Step) -> Paused:
        """Give the turn up by this step. Raises Lost where it is to stop instead.

        A turn whose time is over waits for nobody: DeadlineExceeded.
        """
        if self._clock.monotonic() >= self.deadline:
            raise DeadlineExceeded("this turn is past its deadline, and waits for nobody")
        row = await self.log.perform(wait)
        if row.cancel is not None:
            raise Lost("this turn is to stop, and waits for nobody")
        return Paused.PAUSED

    def generated_for(self, seconds: Seconds) -> None:
        """Count time that was spent in calls of models."""
        self._generation = Seconds((self._generation or 0.0) + seconds)

    @property
    def latencies(self) -> Latencies:
        """What was measured so far; in all, it has not taken its time yet."""
        return Latencies(self._retrieval, self._first_text, self._generation)

    @property
    def first_event(self) -> Seconds:
        """From the start until the first event was in the log; until now, if none is."""
        first = self.log.first_commit
        return Seconds((self._clock.monotonic() if first is None else first) - self._began)

    def stop(self, reason: EndReason) -> None:
        """Ask the run to end; the first reason stands, and a cancel in the row beats them all."""
        if self._stop is None:
            self._stop = reason
            self._rouse()

    def _rouse(self, _: object = None) -> None:
        if not self._roused.done():
            self._roused.set_result(None)

    def _learn(self, row: Turn, read_elsewhere: bool | None) -> None:
        """Take note of what others have changed in the row."""
        if row.cancel is not None:
            self.stop(row.cancel)
        if row.detach:
            self.audience.detach()
        if read_elsewhere is not None:
            self.audience.read_elsewhere(read_elsewhere)

    def _measure(self, event: TurnEvent, since: Seconds) -> None:
        if isinstance(event, Retrieved):
            self._retrieval = since
        elif releases(event):
            self._first_text = since

    async def supervise(
        self,
        produce: Callable[[Run], Coroutine[Any, Any, EndReason | Paused]],
        settlement: Callable[[Run, Ending], Settlement],
    ) -> None:
        """Run `produce` until it ends, is stopped, or has to; then settle.

        Whoever takes the turn away meanwhile ends the run without a word more. A producer that
        is slow to stop delays neither the settlement nor its readers, only the end of the task.
        """
        # The call that claimed is on its way to read, however short its linger.
        self.audience.wait_for_readers(max(self.turn.linger, self._timings.linger))
        producing = self._loop.create_task(produce(self))
        producing.add_done_callback(self._hear)
        try:
            ending = await self._watch(producing)
            if ending is not None:
                await self.log.perform(settlement(self, ending), urgent=None)
        except (Lost, StoreUnavailable):
            pass  # another has it, or this process ends, and its next life settles
        finally:
            self.log.seal()
            self.audience.close()
            if not self.tail.closed:
                self.tail.close(None)
            if not producing.done():
                await asyncio.wait({producing}, timeout=self._timings.settle_budget)
            self.log.lost.remove_done_callback(self._rouse)
            self.log.part()

    async def _watch(self, producing: asyncio.Future[EndReason | Paused]) -> Ending | None:
        """How the run ended; None when the turn is no longer ours."""
        left = max(0.0, self.deadline - self._clock.monotonic())
        alarm, lost = self._loop.call_later(left, self._rouse), self.log.lost
        try:
            await self._roused
        finally:
            alarm.cancel()
        if producing.done() and not lost.done():
            return self._ending_of(producing)
        await self._halt(producing)
        if lost.done():
            error = lost.exception()
            return _ending_by(error) if error is not None else None
        return Ending(EndReason.DEADLINE if self._stop is None else self._stop)

    async def _halt(self, producing: asyncio.Future[EndReason | Paused]) -> None:
        """Stop the producer. It gets a while to let go of its provider, not for ever."""
        self.log.seal()
        producing.cancel()
        await asyncio.wait({producing}, timeout=self._timings.provider_stop)

    def _hear(self, producing: asyncio.Future[EndReason | Paused]) -> None:
        """Take note of its end. Nobody else reports an error, when it comes after the run's."""
        self._rouse()
        if not producing.cancelled():
            producing.exception()

    def _ending_of(self, producing: asyncio.Future[EndReason | Paused]) -> Ending | None:
        if producing.cancelled():
            return Ending(EndReason.INTERRUPTED)
        error = producing.exception()
        if error is None:
            result = producing.result()
            return None if isinstance(result, Paused) else Ending(result)
        if self._clock.monotonic() >= self.deadline - _TIMER_GRAIN_S:
            return Ending(EndReason.DEADLINE)  # whatever gave up first had the same deadline
        return _ending_by(error)


def _ending_by(error: BaseException) -> Ending:
    """A failed run's end, with what its readers will be told."""
    if isinstance(error, TimeoutError | DeadlineExceeded):
        return Ending(EndReason.DEADLINE)
    if not isinstance(error, ColonnadeError):
        return Ending(EndReason.ERROR)
    failure = TurnFailure(
        error.reason.value,
        error.message,
        tuple(sorted(error.metadata.items())),
        error.retry_after,
    )
    return Ending(EndReason.ERROR, failure)
