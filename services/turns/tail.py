"""The newest events of a run, in memory on its own replica, for the readers here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.ports.state import StoreUnavailable
from core.turns.rows import LoggedEvent, Turn
from services.turns.timings import TurnTimings


class Tail:
    """What was committed last, keyed by turn and epoch.

    Bounded: a reader that falls behind its first event reads the log. Of an event only its bytes
    are kept, as readers get them: of thousands of slow turns each holds dozens.
    """

    def __init__(self, turn: Turn, timings: TurnTimings) -> None:
        self.ended: Turn | None = None
        self.closed = False
        self._timings = timings
        self._events: list[bytes] = []
        self._bytes = 0
        self._next = turn.next_seq
        self._waiting: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, events: Sequence[LoggedEvent]) -> None:
        """Take over events that are committed, and wake every reader once."""
        kept, timings = self._events, self._timings
        for event in events:
            if event.seq != self._next:  # what is here ends where these begin, or is of no use
                kept.clear()
                self._bytes = 0
            kept.append(event.body)
            self._bytes += len(event.body)
            self._next = event.seq + 1
        if self._bytes > timings.tail_bytes or len(kept) > timings.tail_events:
            self._forget_oldest()
        self._wake()

    def close(self, ended: Turn | None) -> None:
        """No more events come here: the turn has `ended`, or another has it (None)."""
        if not self.closed:
            self.closed = True
            self.ended = ended
            self._wake()

    def interrupt(self, away: StoreUnavailable) -> None:
        """Tell all who wait that the store has been away for too long."""
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():  # else who waited has left
                told.set_exception(type(away)(away.message))

    def _forget_oldest(self) -> None:
        most, first = self._timings.tail_events, 0
        while self._bytes > self._timings.tail_bytes or len(self._events) - first > most:
            self._bytes -= len(self._events[first])
            first += 1
        if first:
            del self._events[:first]

    def holds(self, sequence: int) -> bool:
        """Whether the event with this number is here, or is the next to come."""
        return self._next - len(self._events) <= sequence <= self._next

    def serves(self, after: int) -> bool:
        """Whether a reader that has the events up to `after` can go on from here alone."""
        if not self.closed:
            return self.holds(after + 1)
        if self.ended is None:
            return False
        return after == self.ended.next_seq - 1 or (
            self.holds(after + 1) and after + 1 < self._next
        )

    def since(self, after: int, most_bytes: int) -> Sequence[bytes] | None:
        """The events above `after`, at least one if there is one, up to about `most_bytes`.

        None where it does not serve such a reader.
        """
        newer = self._next - 1 - after
        here = not self.closed and 0 <= newer <= len(self._events)
        if not here and not self.serves(after):
            return None
        if newer <= 0:
            return ()
        events = self._events[-newer:]
        return events if self._bytes <= most_bytes else within(events, most_bytes)

    def changed(self) -> asyncio.Future[None]:
        """Done with the next event, or the end. Anything that came before this call is not told.

        Fails with what the store says when it has been away for too long.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(told)
        return told

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():  # else who waited has left
                told.set_result(None)


def within(events: Sequence[bytes], most_bytes: int) -> Sequence[bytes]:
    """The first of these events, as many as fit into a message; one fits always."""
    size = 0
    for index, event in enumerate(events):
        size += len(event)
        if size > most_bytes and index > 0:
            return events[:index]
    return events
