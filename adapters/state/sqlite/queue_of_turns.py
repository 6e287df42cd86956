"""Who comes next at the writer."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count

from adapters.state.sqlite.failures import unavailable
from adapters.state.sqlite.workbench import within
from core.identifiers import Seconds


class TurnQueue:
    """Callers wait in order of arrival, and several are called at once.

    To call one at a time would cost a round of the event loop for each, and a round of a busy
    loop is long; most of those called are done within the round. Who is called and finds the
    writer taken after all waits again, in its old place.
    """

    def __init__(self, limit: int, patience: Seconds) -> None:
        self._limit = limit
        self._patience = patience
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._tickets = count()
        self._called = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits, and nobody was called who has not come yet."""
        return not self._waiting and not self._called

    @property
    def expects_somebody(self) -> bool:
        """Whether somebody was called who has not come yet."""
        return self._called > 0

    def ticket(self) -> int:
        """A place at the end. StoreUnavailable where too many wait."""
        if len(self._waiting) >= self._limit:
            raise unavailable("too many transactions wait for it")
        return next(self._tickets)

    async def called(self, ticket: int) -> None:
        """Return when this place is called. StoreUnavailable where that takes too long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (ticket, future))
        try:
            await within(self._patience, future)
        finally:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._called -= 1

    def call(self, places: int) -> None:
        """Call up to so many, oldest first."""
        while places > 0 and self._waiting:
            _, future = heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                self._called += 1
                places -= 1
