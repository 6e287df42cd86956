"""Reading a turn: from the tail where it runs here, from the log else, without gap or repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from core.errors import ColonnadeError, NotFound, Reason, TurnLogExpired, TurnLogLost
from core.identifiers import TenantId, TurnId, UserId
from core.ports.state import State, StoreUnavailable
from core.turns.rows import LoggedEvent, Turn, TurnFailure, TurnState
from services.turns.presence import Presence, Presences
from services.turns.replica import Replica
from services.turns.run import Run
from services.turns.tail import Tail
from services.turns.timings import TurnTimings


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that go out in one message, as bytes, and the number of the last of them."""

    encoded: bytes
    last: int


@dataclass(frozen=True, slots=True)
class _Page:
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

    async def read(
        self, tenant: TenantId, user: UserId, turn: TurnId, after: int
    ) -> AsyncGenerator[Batch, None]:
        """The events after number `after`, as they are committed, until the turn has ended.

        Raises NotFound, TurnLogExpired, TurnLogLost; StoreUnavailable where the store has been
        away for longer than a reader waits; and, when all was delivered of a turn that failed,
        its error.
        """
        seat = _Seat(tenant, user, turn, self._running, self._presences)
        try:
            seen = 0
            while True:
                tail = seat.tail_for(after)
                if tail is not None:
                    ended, events = tail.ended, tail.since(after, self._timings.message_bytes)
                else:
                    seen = seat.changes
                    page = await self._page(seat, after)
                    ended = page.turn if page.turn.state.ended else None
                    events = _within(page.events, self._timings.message_bytes)
                if events:
                    after = events[-1].seq
                    yield Batch(b"".join(event.body for event in events), after)
                elif ended is not None and after >= ended.next_seq - 1:
                    seat.end()
                    _tell_end(ended)
                    return
                elif tail is not None:
                    await tail.changed()
                else:
                    await seat.changed(seen, after)
        finally:
            seat.leave()

    async def _page(self, seat: _Seat, after: int) -> _Page:
        """What the log holds, once this replica counts as a reader of what still runs."""
        if seat.lags:
            self._observer.reader_lagged()
        page = await self._patient_page(seat, after)
        if not page.turn.state.ended and await seat.register():
            page = await self._patient_page(seat, after)
        return page

    async def _patient_page(self, seat: _Seat, after: int) -> _Page:
        """One snapshot of the row and the log. A store that is away is waited for a while."""
        until = self._clock.monotonic() + self._timings.hold
        while True:
            try:
                return await self._one_page(seat, after)
            except StoreUnavailable:
                if self._clock.monotonic() >= until:
                    raise
                await asyncio.sleep(self._timings.retry_store)

    async def _one_page(self, seat: _Seat, after: int) -> _Page:
        async with self._state.snapshot(seat.tenant) as view:
            turn = await view.turns.get(seat.turn)
            if turn is None or turn.user != seat.user:
                raise NotFound("turn", seat.turn)
            check_position(turn, after)
            events = await view.events.read(seat.turn, after, self._timings.read_events)
        if (events[0].seq if events else turn.next_seq) != after + 1:
            raise _lost(turn, after)
        return _Page(turn, events)


class _Seat:
    """Where one reader is counted: with a run here, or in its replica's row for one elsewhere."""

    def __init__(
        self,
        tenant: TenantId,
        user: UserId,
        turn: TurnId,
        running: Callable[[TurnId], Run | None],
        presences: Presences,
    ) -> None:
        self.tenant = tenant
        self.user = user
        self.turn = turn
        self._running = running
        self._presences = presences
        self._run: Run | None = None
        self._presence: Presence | None = None

    @property
    def lags(self) -> bool:
        """Whether the run is here, and its tail does not go back as far as the reader."""
        return self._run is not None and not self._run.tail.closed

    def tail_for(self, after: int) -> Tail | None:
        """The tail to read on from; None where only the log can serve."""
        run = self._run
        if run is None or (run.tail.closed and not run.tail.serves(after)):
            run = self._move()
        return run.tail if run is not None and run.tail.serves(after) else None

    @property
    def changes(self) -> int:
        """What may have changed of a turn elsewhere, counted."""
        return self._presence.changes if self._presence is not None else 0

    async def register(self) -> bool:
        """Count as a reader elsewhere, unless counted already; whether that was new."""
        if self._run is not None or self._presence is not None:
            return False
        self._presence = self._presences.enter(self.tenant, self.turn)
        await self._presence.registered()
        return True

    async def changed(self, seen: int, after: int) -> None:
        """Wait until the turn may have changed since `changes` was `seen`."""
        if self._presence is not None:
            await self._presence.changed(seen)
        elif self._run is not None and not self._run.tail.serves(after):
            await self._run.tail.changed()  # the log is ahead of the tail by a reply

    def end(self) -> None:
        """The reader has all there is of a turn that has ended."""
        if self._presence is not None:
            self._presence.over = True

    def leave(self) -> None:
        """The reader goes."""
        run, self._run = self._run, None
        presence, self._presence = self._presence, None
        if run is not None:
            run.audience.leave()
        if presence is not None:
            presence.leave()

    def _move(self) -> Run | None:
        """Sit down with the run that is here now, if there is one."""
        run = self._running(self.turn)
        if run is None or run.tail.closed or (run.turn.tenant, run.turn.user) != self._who:
            if self._run is not None:
                self.leave()
            return None
        self.leave()
        self._run = run
        run.audience.enter()
        return run

    @property
    def _who(self) -> tuple[TenantId, UserId]:
        return self.tenant, self.user


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


def _within(events: Sequence[LoggedEvent], most_bytes: int) -> Sequence[LoggedEvent]:
    size = 0
    for index, event in enumerate(events):
        size += len(event.body)
        if size > most_bytes and index > 0:
            return events[:index]
    return events


def _tell_end(turn: Turn) -> None:
    if turn.state is TurnState.FAILED and turn.error is not None:
        raise TurnFailed(turn, turn.error)
