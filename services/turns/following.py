"""A turn that is found, or claimed, with the first message of a reader, and then read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from core.call import Call
from core.chat import ChatRequest
from core.errors import Reason
from core.identifiers import TurnId
from core.turns.rows import EndReason, TurnFailure
from services.turns.reading import Batches, TurnFailed
from services.turns.run import Paused, Run
from services.turns.tail import Batch


class Following:
    """The batches of a turn that `find` finds as the first of them is asked for."""

    __slots__ = ("_find", "_found")

    def __init__(self, find: Callable[[], Awaitable[Batches]]) -> None:
        self._find = find
        self._found: Batches | None = None

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Batch:
        if self._found is None:
            self._found = await self._find()
        return await self._found.__anext__()

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""
        if self._found is not None:
            await self._found.aclose()


Produce = Callable[[Call, ChatRequest, Run, TurnFailure | None], Awaitable[EndReason | Paused]]
"""What a claimed run does: emit events until the answer has ended; the reason is returned."""
Check = Callable[[Call, ChatRequest], None]
"""What must hold before a turn is claimed; raises what does not."""


class Asked(Protocol):
    """Whoever is asked for the turn of a request."""

    async def attach_or_start(
        self, call: Call, request: ChatRequest, produce: Produce
    ) -> tuple[TurnId, bool]:
        """The request's turn, and whether this call claimed it."""

    def read(self, call: Call, turn: TurnId, after: int) -> Batches:
        """Follow it from the event after number `after`."""


class Asking:
    """The batches of a request's turn, which is claimed or attached to as the first is asked for.

    A turn that was abandoned just before this call came is claimed again, once.
    """

    __slots__ = (
        "_asked",
        "_call",
        "_check",
        "_found",
        "_last_try",
        "_produce",
        "_request",
        "_seen",
    )

    def __init__(
        self, asked: Asked, call: Call, request: ChatRequest, produce: Produce, check: Check | None
    ) -> None:
        self._asked = asked
        self._call = call
        self._request = request
        self._produce = produce
        self._check = check
        self._found: Batches | None = None
        self._last_try = False
        self._seen = 0

    def __aiter__(self) -> Asking:
        return self

    async def __anext__(self) -> Batch:
        while True:
            found = self._found
            if found is None:
                found = await self._find()
            try:
                batch = await found.__anext__()
            except TurnFailed as failed:
                abandoned = failed.rerunnable and failed.reason is Reason.TURN_ABANDONED
                if self._last_try or not abandoned:
                    raise
                self._found, self._last_try = None, True
            else:
                self._seen = batch.last
                return batch

    async def _find(self) -> Batches:
        if self._check is not None:
            self._check(self._call, self._request)
            self._check = None
        turn, mine = await self._asked.attach_or_start(self._call, self._request, self._produce)
        self._last_try = self._last_try or mine
        self._found = self._asked.read(self._call, turn, self._seen)
        return self._found

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""
        if self._found is not None:
            await self._found.aclose()
