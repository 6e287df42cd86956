"""Reading a turn: from the tail where it runs here, from the log else, without gap or repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import ColonnadeError, NotFound, Reason, TurnLogExpired, TurnLogLost
from core.identifiers import TenantId, TurnId, UserId
from core.ports.state import State, StoreUnavailable
from core.turns.rows import LoggedEvent, Turn, TurnFailure, TurnState
from services.turns.presence import Presences
from services.turns.replica import Replica
from services.turns.run import Run
from services.turns.seat import Seat
from services.turns.tail import Tail
from services.turns.timings import TurnTimings


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that go out in one message, as bytes, and the number of the last of them."""

    encoded: bytes
    last: int


class Batches(AsyncIterable[Batch], Protocol):
    """What goes out to one reader, to be read once. Who stops before the end closes it.

    It is iterated, or without a coroutine for each batch:

        while True:
            if (encoded := batches.take()) is not None:
                await send(encoded)
            elif batches.over:
                break
            else:
                await batches.more()
    """

    over: bool
    """All was taken."""

    def take(self) -> bytes | None:
        """All that is there after what was taken before, up to the size of a message.

        None where that is nothing. Raises the error by which the turn has ended.
        """

    def more(self) -> Awaitable[None]:
        """Done when it is worth to `take` again."""

    def __anext__(self) -> Awaitable[Batch]:
        """What is there, as soon as anything is."""

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


Find = Callable[[], Awaitable[Seat]]
"""Finds the turn that is to be read, or claims it, and a seat for its reader."""


def _never(_: TurnFailed) -> bool:
    return False


class Reading:
    """One reader's way through a turn: its events, as they are committed, until it has ended.

    It has a look for the turn when it is first waited for; where `again` says so of the failure
    by which a turn has ended, it looks for the turn once more, and goes on.
    Raises what `find` raises, NotFound, TurnLogExpired, TurnLogLost; StoreUnavailable where the
    store has been away for longer than a reader waits; and, when all was delivered of a turn that
    failed, its error. See Batches; every message of every stream goes through it.
    """

    __slots__ = ("_after", "_again", "_find", "_page", "_readers", "_seat", "_tail", "over")

    def __init__(
        self,
        readers: Readers,
        find: Find,
        after: int,
        again: Callable[[TurnFailed], bool] = _never,
    ) -> None:
        self.over = False
        self._readers = readers
        self._find = find
        self._after = after
        self._again = again
        self._seat: Seat | None = None
        self._tail: Tail | None = None
        self._page: bytes | None = None

    def take(self) -> bytes | None:
        """See Batches."""
        tail, after = self._tail, self._after
        if tail is None:
            page, self._page = self._page, None
            return page
        if tail.last == after and not tail.closed:
            return None
        newer = tail.since(after, self._readers.message_bytes)
        if newer is None:
            self._tail = None
            return None
        encoded, self._after = newer
        if not encoded and tail.ended is not None:
            self._end(tail.ended)
        return encoded or None

    def more(self) -> Awaitable[None]:
        """See Batches."""
        return self._look() if self._tail is None else self._tail.changed()

    async def _look(self) -> None:
        """Find a tail that goes on from here, else the next page of the log, else wait a while."""
        seat = self._seat
        if seat is None:
            seat = self._seat = await self._find()
        self._tail = seat.tail_for(self._after)
        if self._tail is not None:
            return
        seen = seat.changes
        ended, page, last = await self._readers.page(seat, self._after)
        if page:
            self._page, self._after = page, last
        elif ended is not None:
            self._end(ended)
        else:
            await seat.changed(seen, self._after)

    def _end(self, turn: Turn) -> None:
        """All was taken of a turn that has ended. Raises its error, where it failed."""
        if self._seat is not None:
            self._seat.end()
            self._leave(self._seat)
        if turn.state is TurnState.FAILED and turn.error is not None:
            failed = TurnFailed(turn, turn.error)
            if self._again(failed):
                return
            self.over = True
            raise failed
        self.over = True

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> Batch:
        """See Batches."""
        try:
            while (encoded := self.take()) is None:
                if self.over:
                    raise StopAsyncIteration
                await self.more()
        except BaseException:
            await self.aclose()
            raise
        return Batch(encoded, self._after)

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""
        self.over = True
        if self._seat is not None:
            self._leave(self._seat)

    def _leave(self, seat: Seat) -> None:
        self._seat = self._tail = None
        seat.leave()


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

    def seat(
        self, tenant: TenantId, user: UserId, turn: TurnId, left: Callable[[], None] | None
    ) -> Seat:
        """For a reader of this turn; `left` is called as it goes."""
        return Seat(tenant, user, turn, self._running, self._presences, left)

    async def page(self, seat: Seat, after: int) -> tuple[Turn | None, bytes, int]:
        """The turn if it has ended, what the log holds next, and the number of its last event.

        By then this replica counts as a reader of what still runs.
        """
        if seat.lags:
            self._observer.reader_lagged()
        page = await self._patient_page(seat, after)
        if not page.turn.state.ended and await seat.register():
            page = await self._patient_page(seat, after)
        ended = page.turn if page.turn.state.ended else None
        return ended, *_message(page.events, after, self.message_bytes)

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


def _message(events: Sequence[LoggedEvent], after: int, most_bytes: int) -> tuple[bytes, int]:
    """As many of these events as fit into a message, at least one, and the number of the last."""
    taken: list[bytes] = []
    size = 0
    for event in events:
        size += len(event.body)
        if size > most_bytes and taken:
            break
        taken.append(event.body)
    return b"".join(taken), after + len(taken)
