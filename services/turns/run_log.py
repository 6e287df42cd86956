"""One run's own end of the writer: a buffer of events, the number of the next, and its tail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.errors import ColonnadeError
from core.identifiers import Seconds
from core.ports.state import StoreUnavailable, Transaction
from core.replacing import replaced
from core.turns.events import Reasoning, Text, TurnEvent
from core.turns.fencing import Extension, Fence
from core.turns.leases import longer_lease
from core.turns.rows import LoggedEvent, Turn, TurnState
from services.turns.apart import apart
from services.turns.tail import Tail
from services.turns.timings import TurnTimings
from services.turns.writing import Known, Writing

RENEW_EARLY = 0.8
"""A run that was silent for so much of the renewal's interval is renewed at the next look."""


_SAID = (Text, Reasoning)


class Step(Protocol):
    """A change of the turn's row that is committed with, and after, the buffered events."""

    async def apply(self, tx: Transaction, row: Turn, writing: Writing, /) -> Turn:
        """The changed row, or the same; see Writing for what goes with it. May run twice."""


class Renew:
    """Changes nothing: any write of a run renews its lease."""

    async def apply(self, _: Transaction, row: Turn, __: Writing) -> Turn:
        """See Step."""
        return row


@dataclass(slots=True, eq=False)
class Through:
    """A commit that is through: when, by the loop's clock and by the store's.

    Leases that it renewed last until `lease_until` by the store's, and until `lease_end` by the
    clock that counts suspension.
    """

    now: Seconds
    at: datetime
    lease_until: datetime
    lease_end: Seconds


Learn = Callable[[Turn, bool | None], None]
"""Takes the row, and whether other replicas read the turn; None: not asked."""


def _nobody(_: Turn, __: bool | None) -> None:
    pass


class Lost(ColonnadeError):
    """This run may write nothing more: another has the turn, or it has ended."""


@dataclass(slots=True, eq=False)
class _Wanted:
    step: Step
    done: asyncio.Future[Turn]
    is_last: bool


class RunLog:
    """What a runner writes through. It belongs to one run, and to the loop's thread.

    `lost` is done when the run is over for the store: without an exception when the turn is not
    ours any more, with one when the store has been away for too long, or what was said cannot be
    stored. `lease_end` is on the clock that counts suspension, `began` and `renew_until` are on the
    loop's. `turn` is the row as the last commit with a step left it; `attempts` are the turn's, as
    far as they are known (see Writing). `in_doubt`: a commit may have left another row. From
    `wonders_at` on the next commit should find out who reads the turn on other replicas.
    """

    def __init__(
        self,
        turn: Turn,
        tail: Tail,
        timings: TurnTimings,
        mark: Callable[[RunLog, bool | None], None],
        learn: Learn,
        lease_end: Seconds,
        began: Seconds,
        renew_until: Seconds,
    ) -> None:
        self.turn = turn
        self.turn_id = turn.id
        self.run = turn.run
        self.fence = Fence(turn.epoch)
        self.next_seq = turn.next_seq
        self.tail = tail
        self.lease_end = lease_end
        self.read_elsewhere = False
        self.held_bytes = 0
        self.first_commit: Seconds | None = None
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.attempts: Known | None = None
        self.in_doubt = False
        self._fresh = turn.epoch == 1
        self._released = turn.released
        self._lease_until = turn.lease_until
        self._no_lease_from = turn.deadline_at + timedelta(seconds=timings.hard)
        self._timings = timings
        self._interval = timings.renew * RENEW_EARLY
        self._mark = mark
        self._learn = learn
        self._renew_until = renew_until
        self._sealed = False
        self._events: list[TurnEvent] = []
        self._steps: list[_Wanted] = []
        self._in_flight: list[_Wanted] = []
        self._last_commit = float("-inf")
        self.wonders_at = began + self._interval
        self._away_since: float | None = None
        self._full: asyncio.Future[None] | None = None

    def write(self, event: TurnEvent, now: Seconds) -> bool:
        """Put an event into the buffer; text that arrives within a tick travels together.

        The first event, and one after a quiet tick, goes with the next commit; what follows it in
        the buffer goes with it, however long that takes. False: wait for `room` before more.
        Raises Lost once the run is over.
        """
        if self._sealed:
            raise Lost("this run is over")
        if isinstance(event, _SAID):
            text = event.text
            self.held_bytes += len(text) if text.isascii() else len(text.encode())
            if self.held_bytes > self._timings.hold_bytes:
                self._fill()
        is_first = not self._events
        self._events.append(event)
        if is_first:
            self._mark(self, now - self._last_commit >= self._timings.tick)
        return self._full is None

    def needs_renewal(self, now: Seconds) -> bool:
        """Whether its lease has to be renewed by a write of its own, and still may be."""
        silent = now - self._last_commit >= self._interval
        return silent and not self.tail.closed and now < self._renew_until

    def look(self) -> None:
        """The row was changed by another: find out with a commit of its own, now."""
        if not self.tail.closed:
            self.wonders_at = float("-inf")
            self._mark(self, True)

    async def room(self) -> None:
        """Wait until the buffer has room: a store that can't keep up slows the provider down."""
        while self._full is not None:
            await apart(self._full)

    def seal(self) -> None:
        """Take no more events: a producer that is slow to stop has nothing more to say."""
        self._sealed = True

    def part(self) -> None:
        """The run is over, and told nothing more.

        The two hold each other no longer, so that what they hold is free at once. Garbage in
        circles is looked for seldom, and what has lived as long as a slow turn hardly ever.
        """
        self._learn = _nobody

    def ask(
        self, step: Step, *, urgent: bool | None = True, is_last: bool = False
    ) -> asyncio.Future[Turn]:
        """Have the buffer and then `step` committed; the row as it became.

        What is asked for later may go in the same commit, but not where this `is_last` in it. How
        `urgent` it is: see TurnWriter.mark.
        Fails with Lost, and with what the step itself raised.
        """
        done: asyncio.Future[Turn] = self._loop.create_future()
        self._steps.append(_Wanted(step, done, is_last))
        self._mark(self, urgent)
        return done

    async def perform(self, step: Step, *, urgent: bool | None = True) -> Turn:
        """The same, awaited."""
        return await self.ask(step, urgent=urgent)

    def extension(self, count: int, released: bool) -> Extension:
        """So many more events, for a store that need not show the row."""
        turn, epoch = self.turn, self.fence.epoch
        return Extension(
            self.turn_id, epoch, self.next_seq, count, released, turn.cancel, turn.detach
        )

    def row_after(self, count: int, released: bool, at: datetime, renewed_until: datetime) -> Turn:
        """The row after that, as it is by then: nobody else has written to it."""
        until = longer_lease(self._lease_until, at, renewed_until, self._no_lease_from)
        return replaced(
            self.turn,
            next_seq=self.next_seq + count,
            released=self._released or released,
            lease_until=until,
        )

    def writing(self) -> Writing:
        """For the steps of the next commit. Begun here, attempts are known; see Writing."""
        return Writing(self.attempts, fresh=self._fresh)

    def doubt(self) -> None:
        """What was sent to the store may be in it or not: what it holds has to be read again."""
        self.in_doubt, self.attempts, self._fresh = True, None, False

    def take(self) -> tuple[Sequence[TurnEvent], Sequence[Step]]:
        """What the next commit carries; the writer's alone to call."""
        events, self._events, self.held_bytes = self._events, [], 0
        if not self._steps:
            self._in_flight = []
            return events, ()
        ends = [at for at, wanted in enumerate(self._steps, start=1) if wanted.is_last]
        end = ends[0] if ends else len(self._steps)
        self._in_flight, self._steps = self._steps[:end], self._steps[end:]
        return events, [wanted.step for wanted in self._in_flight]

    def committed(
        self,
        events: Sequence[LoggedEvent],
        row: Turn,
        through: Through,
        read_elsewhere: bool | None,
    ) -> None:
        """The events are in the log: readers may have them."""
        self.turn, self._released, self._lease_until = row, row.released, row.lease_until
        self._written(events, row.next_seq, through, read_elsewhere)
        if row.state.ended:
            self.tail.close(row)
        elif row.state is TurnState.WAITING:
            self.tail.close(None)
        else:
            self._learn(row, read_elsewhere)
        flown, self._in_flight = self._in_flight, []
        for wanted in flown:
            if not wanted.done.done():
                wanted.done.set_result(row)
        if self._steps:
            self._mark(self, True)

    def extended(
        self,
        events: Sequence[LoggedEvent],
        released: bool,
        through: Through,
        read_elsewhere: bool | None,
    ) -> None:
        """The same, of a commit that has found nothing in the row that was not known."""
        self._released = self._released or released
        self._lease_until = longer_lease(
            self._lease_until, through.at, through.lease_until, self._no_lease_from
        )
        next_seq = self.next_seq + len(events)
        self._written(events, next_seq, through, read_elsewhere)
        if read_elsewhere is not None:
            self._learn(self.turn, read_elsewhere)

    def _written(
        self,
        events: Sequence[LoggedEvent],
        next_seq: int,
        through: Through,
        read_elsewhere: bool | None,
    ) -> None:
        now = through.now
        self.in_doubt = False
        self.next_seq = next_seq
        self._last_commit = now
        self._away_since = None
        self.lease_end = through.lease_end
        if read_elsewhere is not None:
            self.read_elsewhere, self.wonders_at = read_elsewhere, now + self._interval
        if self._full is not None:
            self._empty()
        if events:
            if self.first_commit is None:
                self.first_commit = now
            self.tail.publish(events)

    def stale(self) -> None:
        """The store refused: this run is over, whatever it still wants to say."""
        self.seal()
        self.tail.close(None)
        if not self.lost.done():
            self.lost.set_result(None)
        for waiting in (*self._in_flight, *self._steps):
            _fail(waiting, Lost("another has this turn"))
        self._in_flight, self._steps = [], []
        self._empty()

    def failed(self, error: Exception) -> None:
        """What this run brought, and no other, cannot be committed; it is dropped."""
        self._end_by(error)
        self.doubt()
        failing, self._in_flight = self._in_flight, []
        for waiting in failing:
            _fail(waiting, error)
        if self._steps:
            self._mark(self, True)
        self._empty()

    def _fill(self) -> None:
        if self._full is None:
            self._full = self._loop.create_future()

    def _empty(self) -> None:
        full, self._full = self._full, None
        if full is not None:
            full.set_result(None)

    def store_is_away(self, now: Seconds, away: StoreUnavailable) -> None:
        """Note that a commit did not go through; past the hold, the runner must stop spending."""
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > self._timings.hold:
            self._end_by(away)
            self.tail.interrupt(away)
            self._away_since = now  # who comes later is kept waiting for as long

    def _end_by(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)
            self.lost.exception()  # a runner that has ended meanwhile does not ask for it


def _fail(waiting: _Wanted, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
        waiting.done.exception()  # whoever asked may be gone
