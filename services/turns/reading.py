"""Reading a turn: from the tail where it runs here, from the log else, without gap or repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from core.errors import ColonnadeError, NotFound, Reason, TurnLogExpired, TurnLogLost
from core.identifiers import TenantId, TurnId, UserId
from core.ports.state import State, StoreUnavailable
from core.turns.rows import LoggedEvent, Turn, TurnFailure, TurnState
from services.turns.presence import Presences
from services.turns.replica import Replica
from services.turns.run import Run
from services.turns.seat import Seat
from services.turns.tail import Batch, Tail
from services.turns.timings import TurnTimings


class Batches(AsyncIterable[Batch], Protocol):
    """What goes out to one reader, to be iterated once. Who stops before the end closes it."""

    def __anext__(self) -> Awaitable[Batch]:
        """The next of them."""

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A turn's row, and the next events of its log, as one snapshot shows them."""

    turn: Turn
    events: Sequence[LoggedEvent]


class TurnFailed(ColonnadeError):
    """The turn failed, in this or an earlier call's sight; every reader is told the same."""

    def __init__(self, turn: Turn, failure: TurnFailure) -> None:
        super().__init__(failure.message, retry_after=failure.retry_after)
        rerunnable = "true" if turn.rerunnable else "false"
        self.metadata = {**dict(failure.metadata), "turn_id": turn.id, "rerunnable": rerunnable}
        self.reason = Reason(failure.reason)
        self.rerunnable = turn.rerunnable


def _nothing() -> None:
    pass


class Reading:
    """One reader's way through a turn: its events, as they are committed, until it has ended.

    Raises NotFound, TurnLogExpired, TurnLogLost; StoreUnavailable where the store has been away
    for longer than a reader waits; and, when all was delivered of a turn that failed, its error.
    A plain object and no generator, since every message of every stream goes through it.
    """

    __slots__ = ("_after", "_left", "_over", "_readers", "_seat", "_tail")

    def __init__(self, readers: Readers, seat: Seat, after: int, left: Callable[[], None]) -> None:
        self._readers = readers
        self._seat = seat
        self._tail: Tail | None = None
        self._after = after
        self._left = left
        self._over = False

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> Batch:
        """All that is there after the batch before, up to the size of a message."""
        if self._over:
            raise StopAsyncIteration
        seat, readers, seen = self._seat, self._readers, 0
        try:
            while True:
                tail = self._tail
                batch = tail.since(self._after, readers.message_bytes) if tail else None
                if tail is not None and batch is not None:
                    ended = tail.ended
                elif (tail := seat.tail_for(self._after)) is not None:
                    self._tail = tail
                    continue
                else:
                    self._tail, seen = None, seat.changes
                    ended, batch = await readers.page(seat, self._after)
                if batch.last > self._after:
                    self._after = batch.last
                    return batch
                if ended is not None and self._after >= ended.next_seq - 1:
                    seat.end()
                    _tell_end(ended)
                await (tail.changed() if tail is not None else seat.changed(seen, self._after))
        except BaseException:
            self._leave()
            raise

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""
        self._leave()

    def _leave(self) -> None:
        if not self._over:
            self._over = True
            self._seat.leave()
            self._left()


class Readers:
    """Follows turns. A reader never touches the run that it reads, but by its presence."""

    def __init__(
        self,
        state: State,
        running: Callable[[TurnId], Run | None],
        presences: Presences,
        replica: Replica,
        timings: TurnTimings,
    ) -> None:
        self._state = state
        self._running = running
        self._presences = presences
        self._clock = replica.clock
        self._observer = replica.observer
        self._timings = timings
        self.message_bytes = timings.message_bytes

    def read(
        self,
        tenant: TenantId,
        user: UserId,
        turn: TurnId,
        after: int,
        left: Callable[[], None] = _nothing,
    ) -> Reading:
        """The events after number `after`; `left` is called as the reader goes."""
        return Reading(self, Seat(tenant, user, turn, self._running, self._presences), after, left)

    async def page(self, seat: Seat, after: int) -> tuple[Turn | None, Batch]:
        """The turn if it has ended, and what the log holds next.

        By then this replica counts as a reader of what still runs.
        """
        if seat.lags:
            self._observer.reader_lagged()
        page = await self._patient_page(seat, after)
        if not page.turn.state.ended and await seat.register():
            page = await self._patient_page(seat, after)
        ended = page.turn if page.turn.state.ended else None
        return ended, _batch(page.events, after, self.message_bytes)

    async def _patient_page(self, seat: Seat, after: int) -> _Page:
        """One snapshot of the row and the log. A store that is away is waited for a while."""
        until = self._clock.monotonic() + self._timings.hold
        while True:
            try:
                return await self._one_page(seat, after)
            except StoreUnavailable:
                if self._clock.monotonic() >= until:
                    raise
                await asyncio.sleep(self._timings.retry_store)

    async def _one_page(self, seat: Seat, after: int) -> _Page:
        async with self._state.snapshot(seat.tenant) as view:
            turn = await view.turns.get(seat.turn)
            if turn is None or turn.user != seat.user:
                raise NotFound("turn", seat.turn)
            check_position(turn, after)
            events = await view.events.read(seat.turn, after, self._timings.read_events)
        if (events[0].seq if events else turn.next_seq) != after + 1:
            raise _lost(turn, after)
        return _Page(turn, events)


def check_position(turn: Turn, after: int) -> None:
    """Raise where the log can't go on from `after` without a gap."""
    if after < turn.log_from - 1:
        raise TurnLogExpired(
            f"events up to {turn.log_from - 1} are no longer kept; what the turn came to is "
            "in its conversation, and in GetTurn",
            turn_id=turn.id,
            first_kept=str(turn.log_from),
        )
    if after >= turn.next_seq:
        raise _lost(turn, turn.next_seq - 1)


def _lost(turn: Turn, last: int) -> TurnLogLost:
    return TurnLogLost(
        f"the log ends at {last}; events after it were lost by the store, "
        "so drop what you have of this turn and read it from 0",
        turn_id=turn.id,
        last_sequence=str(last),
    )


def _batch(events: Sequence[LoggedEvent], after: int, most_bytes: int) -> Batch:
    """As many of these events as fit into a message; one fits always."""
    taken: list[bytes] = []
    size = 0
    for event in events:
        size += len(event.body)
        if size > most_bytes and taken:
            break
        taken.append(event.body)
    return Batch(b"".join(taken), after + len(taken))


def _tell_end(turn: Turn) -> NoReturn:
    if turn.state is TurnState.FAILED and turn.error is not None:
        raise TurnFailed(turn, turn.error)
    raise StopAsyncIteration
