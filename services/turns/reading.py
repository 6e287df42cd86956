"""Reading a turn: from the tail where it runs here, from the log else, without gap or repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from core.errors import ColonnadeError, NotFound, Reason, TurnLogExpired, TurnLogLost
from core.identifiers import TenantId, TurnId, UserId
from core.ports.state import State
from core.turns.rows import LoggedEvent, Turn, TurnFailure, TurnState
from services.turns.orphans import Orphans
from services.turns.run import Run
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
    at: datetime


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
        orphans: Orphans,
        timings: TurnTimings,
    ) -> None:
        self._state = state
        self._running = running
        self._orphans = orphans
        self._timings = timings

    async def read(
        self, tenant: TenantId, user: UserId, turn: TurnId, after: int
    ) -> AsyncGenerator[Batch, None]:
        """The events after number `after`, as they are committed, until the turn has ended.

        Raises NotFound, TurnLogExpired, TurnLogLost; and, when all was delivered of a turn that
        failed, its error.
        """
        run = self._running(turn)
        if run is not None and (run.turn.tenant, run.turn.user) != (tenant, user):
            run = None
        if run is not None:
            run.tail.enter()
            run.visited()
        try:
            async with aclosing(self._follow(tenant, user, turn, after, run)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            if run is not None:
                run.tail.leave()

    async def _follow(
        self, tenant: TenantId, user: UserId, id: TurnId, after: int, run: Run | None
    ) -> AsyncGenerator[Batch, None]:
        while True:
            tail = run.tail if run is not None and run.tail.serves(after) else None
            page = None
            if tail is not None:
                ended, events = tail.ended, tail.since(after, self._timings.message_bytes)
            else:
                page = await self._page(tenant, user, id, after)
                ended = page.turn if page.turn.state.ended else None
                events = _within(page.events, self._timings.message_bytes)
            if events:
                after = events[-1].seq
                yield Batch(b"".join(event.body for event in events), after)
            elif ended is not None and after >= ended.next_seq - 1:
                _tell_end(ended)
                return
            elif tail is not None:
                await tail.changed()
            elif page is not None and self._orphans.is_due(page.turn, page.at):
                await self._orphans.settle_if_due(id)
            else:
                await asyncio.sleep(self._timings.poll)

    async def _page(self, tenant: TenantId, user: UserId, id: TurnId, after: int) -> _Page:
        """The row and the events after `after`: one snapshot."""
        async with self._state.snapshot(tenant) as view:
            turn = await view.turns.get(id)
            if turn is None or turn.user != user:
                raise NotFound("turn", id)
            check_position(turn, after)
            events = await view.events.read(id, after, self._timings.read_events)
        return _Page(turn, events, view.now)


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
        raise TurnLogLost(
            f"the log ends at {turn.next_seq - 1}; events after it were lost by the store, "
            "so drop what you have of this turn and read it from 0",
            turn_id=turn.id,
            last_sequence=str(turn.next_seq - 1),
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
