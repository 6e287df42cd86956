"""The turn of a request, which is claimed or attached to as its reader begins to read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from core.call import Call
from core.chat import ChatRequest
from core.errors import Reason
from core.identifiers import TurnId
from core.turns.rows import EndReason, TurnFailure
from services.turns.reading import TurnFailed
from services.turns.run import Paused, Run
from services.turns.seat import Seat

Produce = Callable[
    [Call, ChatRequest, Run, TurnFailure | None], Coroutine[Any, Any, EndReason | Paused]
]
"""What a claimed run does: emit events until the answer has ended; the reason is returned."""
Check = Callable[[Call, ChatRequest], None]
"""What must hold before a turn is claimed; raises what does not."""


class Asked(Protocol):
    """Whoever is asked for the turn of a request."""

    async def attach_or_start(
        self, call: Call, request: ChatRequest, produce: Produce
    ) -> tuple[TurnId, bool]:
        """The request's turn, and whether this call claimed it."""

    def seat(self, call: Call, turn: TurnId) -> Seat:
        """A seat at it for this call's reader."""


class Asking:
    """Finds the turn of a request: claims it, or attaches to it.

    A turn that was abandoned just before this call came is claimed again, once.
    """

    __slots__ = ("_asked", "_call", "_check", "_last_try", "_produce", "_request")

    def __init__(
        self, asked: Asked, call: Call, request: ChatRequest, produce: Produce, check: Check | None
    ) -> None:
        self._asked = asked
        self._call = call
        self._request = request
        self._produce = produce
        self._check = check
        self._last_try = False

    async def find(self) -> Seat:
        """A seat at the turn. Raises what the check does, and what claiming does."""
        if self._check is not None:
            self._check(self._call, self._request)
            self._check = None
        turn, mine = await self._asked.attach_or_start(self._call, self._request, self._produce)
        self._last_try = self._last_try or mine
        return self._asked.seat(self._call, turn)

    def again(self, failed: TurnFailed) -> bool:
        """Whether to look for the turn once more, since another call's leaving has ended it."""
        if self._last_try or not failed.rerunnable or failed.reason is not Reason.TURN_ABANDONED:
            return False
        self._last_try = True
        return True
