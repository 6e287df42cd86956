"""Where a reader of a turn is counted, and from where it reads."""

from __future__ import annotations

from collections.abc import Callable

from core.identifiers import TenantId, TurnId, UserId
from services.turns.presence import Presence, Presences
from services.turns.run import Run
from services.turns.tail import Tail


class Seat:
    """Where one reader is counted: with a run here, or in its replica's row for one elsewhere.

    `left` is called as the reader goes.
    """

    __slots__ = ("_left", "_presence", "_presences", "_run", "_running", "tenant", "turn", "user")

    def __init__(
        self,
        tenant: TenantId,
        user: UserId,
        turn: TurnId,
        running: Callable[[TurnId], Run | None],
        presences: Presences,
        left: Callable[[], None] | None,
    ) -> None:
        self.tenant = tenant
        self.user = user
        self.turn = turn
        self._running = running
        self._presences = presences
        self._left = left
        self._run: Run | None = None
        self._presence: Presence | None = None

    @property
    def lags(self) -> bool:
        """Whether the run is here, and its tail does not go back as far as the reader."""
        return self._run is not None and not self._run.tail.closed

    def tail_for(self, after: int) -> Tail | None:
        """The tail to read on from; None where only the log can serve."""
        run = self._run
        if run is not None:
            if run.tail.serves(after):
                return run.tail
            if not run.tail.closed:
                return None
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
        self._rise()
        if self._left is not None:
            self._left()

    def _move(self) -> Run | None:
        """Sit down with the run that is here now, if there is one."""
        run = self._running(self.turn)
        if (
            run is None
            or run.tail.closed
            or (run.turn.tenant, run.turn.user) != (self.tenant, self.user)
        ):
            if self._run is not None:
                self._rise()
            return None
        self._rise()
        self._run = run
        run.audience.enter()
        return run

    def _rise(self) -> None:
        """Count here no more."""
        run, self._run = self._run, None
        presence, self._presence = self._presence, None
        if run is not None:
            run.audience.leave()
        if presence is not None:
            presence.leave()
