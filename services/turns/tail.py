"""The newest events of a run, in memory on its own replica, for the readers here."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from core.ports.state import StoreUnavailable
from core.turns.rows import LoggedEvent, Turn
from services.turns.timings import TurnTimings


class Tail:
    """What was committed last, keyed by turn and epoch.

    Bounded: a reader that falls behind its first event reads the log. Of the events only their
    bytes are kept, in one piece, as readers get them, and where each ends: of thousands of slow
    turns each holds dozens.
    """

    def __init__(self, turn: Turn, timings: TurnTimings) -> None:
        self.ended: Turn | None = None
        self.closed = False
        self.last = turn.next_seq - 1
        """The number of the newest event."""
        self._timings = timings
        self._bytes = bytearray()
        self._ends = array("Q")
        self._forgotten = 0
        """Bytes that once stood before those that are kept; the ends count them too."""
        self._end = 0
        self._before = self.last
        """The number of the event before the first that is kept."""
        self._waiting: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, events: Sequence[LoggedEvent]) -> None:
        """Take over events that are committed, and wake every reader once."""
        kept, ends, timings = self._bytes, self._ends, self._timings
        for event in events:
            if event.seq != self.last + 1:  # what is here ends where these begin, or is of no use
                self._forget(self.last - self._before)
                self._before = event.seq - 1
            kept += event.body
            self._end += len(event.body)
            ends.append(self._end)
            self.last = event.seq
        if (
            self._end - self._forgotten > timings.tail_bytes
            or self.last - self._before > timings.tail_events
        ):
            self._forget_oldest()
        if self._waiting:
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
        excess = self._end - self._forgotten - self._timings.tail_bytes
        too_big = bisect_left(self._ends, self._forgotten + excess) + 1 if excess > 0 else 0
        self._forget(max(too_big, self.last - self._before - self._timings.tail_events))

    def _forget(self, count: int) -> None:
        if count:
            end = self._ends[count - 1]
            del self._bytes[: end - self._forgotten], self._ends[:count]
            self._forgotten = end
            self._before += count

    def holds(self, sequence: int) -> bool:
        """Whether the event with this number is here, or is the next to come."""
        return self._before < sequence <= self.last + 1

    def serves(self, after: int) -> bool:
        """Whether a reader that has the events up to `after` can go on from here alone."""
        if not self.closed:
            return self.holds(after + 1)
        if self.ended is None:
            return False
        return after == self.ended.next_seq - 1 or (self.holds(after + 1) and after < self.last)

    def since(self, after: int, most_bytes: int) -> tuple[bytes, int] | None:
        """The events above `after`, at least one if there is one, up to about `most_bytes`.

        As bytes, with the number of the last of them. None where it does not serve such a reader.
        """
        if (self.closed or not self._before <= after <= self.last) and not self.serves(after):
            return None
        if after >= self.last:
            return b"", after
        ends, first = self._ends, after - self._before
        begin = ends[first - 1] if first else self._forgotten
        if self._end - begin <= most_bytes:
            return bytes(self._bytes[begin - self._forgotten :]), self.last
        fitting = max(1, bisect_right(ends, begin + most_bytes, first) - first)
        end = ends[first + fitting - 1]
        return bytes(self._bytes[begin - self._forgotten : end - self._forgotten]), after + fitting

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
