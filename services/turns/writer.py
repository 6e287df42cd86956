"""The one committer: every write of every run of this process goes through it, in groups.

A runner appends to its run's buffer and marks it dirty. At a flush the text of each run becomes
one event, numbers are given, the bytes are made once, and all runs share a transaction. Only
after the commit do events enter the tails, from where readers send them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.identifiers import Seconds
from core.ports.event_codec import EventCodec
from core.ports.state import State, StoreUnavailable
from core.turns.events import joined, releases
from services.turns.committing import Commits, Entry
from services.turns.fresh_claims import Fresh, FreshClaims
from services.turns.logged import numbered
from services.turns.replica import Replica, StoreContact
from services.turns.run_log import RENEW_EARLY, RunLog
from services.turns.tick import Tick
from services.turns.timings import TurnTimings

_STEPS_TO_SETTLE = 6
"""Rounds of the loop within which a run settles whose model has come to its end."""


class TurnWriter:
    """Commits for all runs of this process; one batch is in flight at a time."""

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        replica: Replica,
        contact: StoreContact,
        timings: TurnTimings,
        claims: FreshClaims,
        tick: Tick,
    ) -> None:
        self._commits = Commits(state, codec, replica, contact, timings, claims)
        self._claims = claims
        self._codec = codec
        self._clock = replica.clock
        self._boottime = replica.boottime
        self._observer = replica.observer
        self._timings = timings
        self._held_back = False
        self._dirty: dict[RunLog, bool] = {}
        self._live: dict[RunLog, None] = {}
        self._dropped: set[RunLog] = set()
        """Runs of which something was given up as this process ends: nothing may follow it."""
        self._renewal: asyncio.TimerHandle | None = None
        self._due = asyncio.Event()
        self._last_commit = float("-inf")
        self._tick = tick
        self._ticked = False
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._closed = False

    def start(self) -> None:
        """Begin to commit; needs the running loop."""
        self._claims.wake = self._due.set
        self._tick.turned = self._turned
        self._task = asyncio.get_running_loop().create_task(self._run(), name="turn-writer")

    async def close(self) -> None:
        """Commit what is marked, then stop; what comes after is refused. Idempotent."""
        self._closing = True
        if self._renewal is not None:
            self._renewal.cancel()
        self._due.set()
        if self._task is not None:
            await self._task

    def watch(self, log: RunLog) -> None:
        """Keep this run's lease while it is silent, and learn whether it is to stop."""
        self._live[log] = None
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(self._look, self._renew)

    def forget(self, log: RunLog) -> None:
        """The run has ended."""
        self._live.pop(log, None)
        self._dropped.discard(log)

    def _renew(self) -> None:
        self._renewal = None
        now = self._clock.monotonic()
        for log in self._live:
            if log.needs_renewal(now):
                self.mark(log, False)
        if self._live and not self._closing:
            self._renewal = asyncio.get_running_loop().call_later(self._look, self._renew)
            self._observer.lease_age(self._oldest_lease())
        else:
            self._observer.lease_age(Seconds(0.0))

    @property
    def _look(self) -> float:
        """How often silent runs are looked for, so that none is silent for a whole interval."""
        return self._timings.renew * (1 - RENEW_EARLY)

    def _oldest_lease(self) -> Seconds:
        renewed = min(log.lease_end for log in self._live) - self._lease
        return Seconds(max(0.0, self._boottime() - renewed))

    @property
    def _lease(self) -> float:
        return self._timings.lease - self._timings.lease_margin

    def mark(self, log: RunLog, urgent: bool | None) -> None:
        """This run has something to commit; `urgent` goes with the next commit, not the tick.

        None: unless others wait for the tick too.
        """
        if self._closed:
            asyncio.get_running_loop().call_soon(self._refuse, log)
            return
        if urgent is None:
            urgent = not (self._tick.is_awaited or self._dirty.keys() - {log})
        self._dirty[log] = urgent or self._dirty.get(log, False)
        if urgent:
            self._due.set()
        else:
            self._tick.come()

    def _turned(self) -> None:
        if self._dirty:
            self._ticked = True
            self._due.set()

    async def _run(self) -> None:
        try:
            while not self._closing or self._dirty:
                await self._due.wait()
                await self._gather()
                batch = [entry for log in self._take() if (entry := self._entry(log)) is not None]
                claims = self._claims.take()
                if self._claims:
                    self._due.set()  # there are more than go with one commit
                for part in _one_run_a_turn(batch) or [()]:
                    await self._commit_until_known(part, claims)
                    claims = ()
                if batch:  # claims alone keep nobody waiting
                    self._last_commit = self._clock.monotonic()
        finally:
            self._closed = True
            self._claims.wake = self._tick.turned = None
            self._claims.turn_away()
            for log in tuple(self._live):
                log.failed(_ending())  # what is under way
                self._refuse(log)  # and what waits

    async def _gather(self) -> None:
        """Wait for what comes at once; never less than the gap since the last commit."""
        if self._closing:
            return
        if self._ticked:
            for _ in range(_STEPS_TO_SETTLE):
                await asyncio.sleep(0)
        until_gap = self._last_commit + self._timings.gap - self._clock.monotonic()
        if until_gap > 0:
            await asyncio.sleep(until_gap)

    def _take(self) -> Sequence[RunLog]:
        """What is urgent; everything, where the tick has come."""
        if self._closing or self._ticked:
            taken, self._dirty = list(self._dirty), {}
        else:
            taken = [log for log, urgent in self._dirty.items() if urgent]
            for log in taken:
                del self._dirty[log]
        self._ticked = False
        if not self._closing:
            self._due.clear()
        return sorted(taken, key=lambda log: log.turn_id)

    def _entry(self, log: RunLog) -> Entry | None:
        """What the run brings; None where it cannot be encoded, which is its own affair."""
        if log in self._dropped:
            self._refuse(log)
            return None
        buffered, steps = log.take()
        if log.tail.closed and not buffered and not steps:
            return None  # it has ended since its lease was to be renewed
        events = joined(buffered)
        released = any(map(releases, events))
        try:
            fresh = numbered(
                self._codec, events, first=log.next_seq, run=log.run, epoch=log.fence.epoch
            )
        except Exception as error:  # noqa: BLE001  # passed on; the other runs go on
            log.failed(error)
            return None
        return Entry(log, fresh, released, steps)

    def _refuse(self, log: RunLog) -> None:
        log.take()
        log.failed(_ending())

    async def _commit_until_known(
        self, batch: Sequence[Entry], claims: Sequence[Fresh] = ()
    ) -> None:
        """Commit this batch; a store that is away is asked again, with the same numbers.

        Claims go along once: what failed of them, each has to find out by itself.
        """
        while batch or claims:
            try:
                await self._commit(batch, claims)
            except StoreUnavailable as away:
                self._claims.away(claims, away)
                claims = ()
                for entry in batch:
                    entry.log.doubt()
                if not batch or self._given_up(batch, away):
                    return
                await asyncio.sleep(self._timings.retry_store)
            except Exception as error:  # noqa: BLE001  # one run is to blame; the others go on
                if claims:
                    self._claims.turn_away(claims)
                    claims = ()
                elif len(batch) == 1:
                    batch[0].log.failed(error)
                    return
                else:
                    await self._each_alone(batch)
                    return
            else:
                return

    async def _each_alone(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            await self._commit_until_known([entry])

    def _given_up(self, batch: Sequence[Entry], away: StoreUnavailable) -> bool:
        """Tell each run that holds something back; only a process that ends gives up."""
        now = self._clock.monotonic()
        for log in (*(entry.log for entry in batch), *self._dirty):
            log.store_is_away(now, away)
        self._held_back = True
        self._claims.wake = None  # they find out by themselves how long they wait for it
        self._claims.turn_away()
        waiting = sum(len(event.body) for entry in batch for event in entry.events)
        self._observer.held_back(waiting + sum(log.held_bytes for log in self._live))
        if self._closing:
            for entry in batch:
                self._dropped.add(entry.log)
                entry.log.failed(away)
        return self._closing

    async def _commit(self, batch: Sequence[Entry], claims: Sequence[Fresh] = ()) -> None:
        began = self._clock.monotonic()
        events = await self._commits.commit(batch, claims)
        self._observer.committed(Seconds(self._clock.monotonic() - began), len(batch), events)
        if self._held_back:
            self._held_back = False
            self._claims.wake = self._due.set
            self._observer.held_back(0)


def _ending() -> StoreUnavailable:
    return StoreUnavailable("this process is ending")


def _one_run_a_turn(batch: Sequence[Entry]) -> Sequence[Sequence[Entry]]:
    """The batch in parts, for a commit answers by turn: of two runs, one is stale by now."""
    parts: list[Sequence[Entry]] = []
    while batch:
        part = {entry.log.turn_id: entry for entry in batch}
        parts.append(batch if len(part) == len(batch) else list(part.values()))
        batch = [entry for entry in batch if part[entry.log.turn_id] is not entry]
    return parts
