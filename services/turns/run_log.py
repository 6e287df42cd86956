"""One run's own end of the writer: a buffer of events, the number of the next, and its tail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from core.errors import ColonnadeError
from core.identifiers import Seconds
from core.ports.state import StoreUnavailable, Transaction
from core.turns.events import Reasoning, Text, TurnEvent
from core.turns.fencing import Fence
from core.turns.rows import EndReason, LoggedEvent, Turn
from services.turns.tail import Tail
from services.turns.timings import TurnTimings


class Step(Protocol):
    """A change of the turn's row that is committed with, and after, the buffered events."""

    async def apply(self, tx: Transaction, row: Turn, closing: list[TurnEvent]) -> Turn:
        """The changed row; events put into `closing` are logged with it. May run twice."""


class Lost(ColonnadeError):
    """This run may write nothing more: another has the turn, or it has ended."""


class RunLog:
    """What a runner writes through. It belongs to one run, and to the loop's thread.

    `on_cancel` is told the wish to stop that a commit has found in the row. `lost` is done when
    the run is over for the store: without an exception when the turn is not ours any more, with
    one when the store has been away for too long, or what was said cannot be stored.
    """

    def __init__(
        self,
        turn: Turn,
        tail: Tail,
        timings: TurnTimings,
        mark: Callable[[RunLog, bool], None],
        on_cancel: Callable[[EndReason], None],
    ) -> None:
        self.turn_id = turn.id
        self.run = turn.run
        self.fence = Fence(turn.epoch)
        self.next_seq = turn.next_seq
        self.tail = tail
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timings = timings
        self._mark = mark
        self._on_cancel = on_cancel
        self._sealed = False
        self._events: list[TurnEvent] = []
        self._bytes = 0
        self._step: tuple[Step, asyncio.Future[Turn]] | None = None
        self._in_flight: tuple[Step, asyncio.Future[Turn]] | None = None
        self._last_commit = float("-inf")
        self._away_since: float | None = None
        self._room = asyncio.Event()
        self._room.set()

    def write(self, event: TurnEvent, now: Seconds) -> None:
        """Put an event into the buffer; text that arrives within a tick travels together.

        The first event, and one after a quiet tick, goes with the next commit. Raises Lost once
        the run is over.
        """
        if self._sealed:
            raise Lost("this run is over")
        if isinstance(event, Text | Reasoning):
            self._bytes += len(event.text.encode())
            if self._bytes > self._timings.hold_bytes:
                self._room.clear()
        self._events.append(event)
        quiet = now - self._last_commit >= self._timings.tick
        self._mark(self, quiet)

    def is_silent(self, now: Seconds) -> bool:
        """Whether its lease has to be renewed by a write of its own."""
        return not self.tail.closed and now - self._last_commit >= self._timings.renew

    async def room(self) -> None:
        """Wait until the buffer has room: a store that can't keep up slows the provider down."""
        await self._room.wait()

    def seal(self) -> None:
        """Take no more events: a producer that is slow to stop has nothing more to say."""
        self._sealed = True

    async def perform(self, step: Step) -> Turn:
        """Commit the buffer and then `step`; the row as it became.

        Raises Lost, and what the step itself raised.
        """
        done: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._step = (step, done)
        self._mark(self, True)
        return await done

    def take(self) -> tuple[Sequence[TurnEvent], Step | None]:
        """What the next commit carries; the writer's alone to call."""
        events, self._events, self._bytes = self._events, [], 0
        self._in_flight, self._step = self._step, None
        return events, self._in_flight[0] if self._in_flight else None

    def committed(self, events: Sequence[LoggedEvent], row: Turn, now: Seconds) -> None:
        """The events are in the log: readers may have them."""
        self.next_seq = row.next_seq
        self._last_commit = now
        self._away_since = None
        self._room.set()
        if events:
            self.tail.publish(events)
        if row.state.ended:
            self.tail.close(row)
        elif row.cancel is not None:
            self._on_cancel(row.cancel)
        flown, self._in_flight = self._in_flight, None
        if flown is not None and not flown[1].done():
            flown[1].set_result(row)

    def stale(self) -> None:
        """The store refused: this run is over, whatever it still wants to say."""
        self.seal()
        self.tail.close(None)
        if not self.lost.done():
            self.lost.set_result(None)
        for waiting in (self._in_flight, self._step):
            _fail(waiting, Lost("another has this turn"))
        self._in_flight = self._step = None
        self._room.set()

    def failed(self, error: Exception) -> None:
        """What this run brought, and no other, cannot be committed; it is dropped."""
        self._end_by(error)
        failing, self._in_flight = self._in_flight, None
        _fail(failing, error)
        self._room.set()

    def store_is_away(self, now: Seconds, away: StoreUnavailable) -> None:
        """Note that a commit did not go through; past the hold, the runner must stop spending."""
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > self._timings.hold:
            self._end_by(away)

    def _end_by(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)
            self.lost.exception()  # a runner that has ended meanwhile does not ask for it


def _fail(waiting: tuple[Step, asyncio.Future[Turn]] | None, error: Exception) -> None:
    if waiting is not None and not waiting[1].done():
        waiting[1].set_exception(error)
