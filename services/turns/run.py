"""One run of a turn on this process: what it writes to, who reads it, how it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from core.clock import Clock
from core.errors import ColonnadeError, DeadlineExceeded
from core.identifiers import Seconds
from core.ports.state import StoreUnavailable
from core.turns.events import Latencies, Retrieved, TurnEvent, releases
from core.turns.rows import EndReason, Turn, TurnFailure
from core.turns.transcript import Transcript
from services.turns.run_log import Lost, RunLog
from services.turns.settlement import Settlement
from services.turns.tail import Tail
from services.turns.timings import TurnTimings


@dataclass(frozen=True, slots=True)
class Ending:
    """How the producing part of a run ended."""

    reason: EndReason
    failure: TurnFailure | None = None


class Run:
    """What the producer of a run writes through, and everyone else stops it by."""

    def __init__(
        self,
        turn: Turn,
        mark: Callable[[RunLog, bool], None],
        deadline: Seconds,
        clock: Clock,
        timings: TurnTimings,
    ) -> None:
        self.turn = turn
        self.deadline = deadline
        self.tail = Tail(turn, timings, self.lonely)
        self.log = RunLog(turn, self.tail, timings, mark, self.stop)
        self.transcript = Transcript()
        self.latencies = Latencies()
        self._clock = clock
        self._timings = timings
        self._began = clock.monotonic()
        self._stop: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._lonely_timer: asyncio.TimerHandle | None = None
        self._detached = turn.detach

    async def emit(self, event: TurnEvent) -> None:
        """Put an event into the log; waits while the store cannot keep up."""
        now = self._clock.monotonic()
        self.log.write(event, now)
        self.transcript.add(event)
        self._measure(event, Seconds(now - self._began))
        await self.log.room()

    def generated_for(self, seconds: Seconds) -> None:
        """Count time that was spent in calls of models."""
        sofar = self.latencies.generation or 0.0
        self.latencies = replace(self.latencies, generation=Seconds(sofar + seconds))

    def stop(self, reason: EndReason) -> None:
        """Ask the run to end; the first reason stands, and a cancel beats an abandon."""
        if not self._stop.done():
            self._stop.set_result(reason)

    def detach(self) -> None:
        """The run goes on when nobody reads it."""
        self._detached = True

    def lonely(self) -> None:
        """The last reader has left: after `linger` without another the run is abandoned."""
        self._wait_for_readers(self.turn.linger)

    def _wait_for_readers(self, patience: Seconds) -> None:
        if self._detached or self.tail.readers or self._lonely_timer is not None:
            return
        self._lonely_timer = asyncio.get_running_loop().call_later(patience, self._abandon)

    def visited(self) -> None:
        """A reader has come."""
        if self._lonely_timer is not None:
            self._lonely_timer.cancel()
            self._lonely_timer = None

    def _measure(self, event: TurnEvent, since: Seconds) -> None:
        if isinstance(event, Retrieved):
            self.latencies = replace(self.latencies, retrieval=since)
        elif self.latencies.first_text is None and releases(event):
            self.latencies = replace(self.latencies, first_text=since)

    def _abandon(self) -> None:
        self._lonely_timer = None
        if self.tail.readers == 0 and not self._detached:
            self.stop(EndReason.ABANDONED)

    async def supervise(
        self,
        produce: Callable[[Run], Awaitable[EndReason]],
        settlement: Callable[[Run, Ending], Settlement],
    ) -> None:
        """Run `produce` until it ends, is stopped, or has to; then settle.

        Whoever takes the turn away meanwhile ends the run without a word more. A producer that
        is slow to stop delays neither the settlement nor its readers, only the end of the task.
        """
        # The call that claimed is on its way to read, however short its linger.
        self._wait_for_readers(max(self.turn.linger, self._timings.linger))
        producing = asyncio.ensure_future(produce(self))
        producing.add_done_callback(_hear)
        try:
            ending = await self._watch(producing)
            if ending is not None:
                with suppress(Lost, StoreUnavailable):  # the process ends: its next life settles
                    await self.log.perform(settlement(self, ending))
        finally:
            self.log.seal()
            self.visited()
            if not self.tail.closed:
                self.tail.close(None)
            if not producing.done():
                await asyncio.wait({producing}, timeout=self._timings.settle_budget)

    async def _watch(self, producing: asyncio.Future[EndReason]) -> Ending | None:
        """How the run ended; None when the turn is no longer ours."""
        left = max(0.0, self.deadline - self._clock.monotonic())
        watched: set[asyncio.Future[EndReason] | asyncio.Future[None]] = {
            producing,
            self._stop,
            self.log.lost,
        }
        done, _ = await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if producing in done and not self.log.lost.done():
            return self._ending_of(producing)
        await self._halt(producing)
        if self.log.lost.done():
            error = self.log.lost.exception()
            return _ending_by(error) if error is not None else None
        if self._stop.done():
            return Ending(self._stop.result())
        return Ending(EndReason.DEADLINE)

    async def _halt(self, producing: asyncio.Future[EndReason]) -> None:
        """Stop the producer. It gets a while to let go of its provider, not for ever."""
        self.log.seal()
        producing.cancel()
        await asyncio.wait({producing}, timeout=self._timings.provider_stop)

    def _ending_of(self, producing: asyncio.Future[EndReason]) -> Ending:
        if producing.cancelled():
            return Ending(EndReason.INTERRUPTED)
        error = producing.exception()
        if error is None:
            return Ending(producing.result())
        if self._clock.monotonic() >= self.deadline:
            return Ending(EndReason.DEADLINE)  # whatever gave up first had the same deadline
        return _ending_by(error)


def _hear(producing: asyncio.Future[EndReason]) -> None:
    """Take note of an error that comes after the end, so that nobody else reports it."""
    if not producing.cancelled():
        producing.exception()


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
