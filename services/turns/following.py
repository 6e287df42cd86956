"""A turn that is found with the first message of a reader, and then read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.turns.reading import Batch, Batches, TurnFailed

Find = Callable[[int], Awaitable[Batches]]
"""Finds the turn; what comes after the event with this number, which the reader has."""


class Following:
    """The batches of a turn that `find` finds as the first of them is asked for.

    Where the turn failed in a way that it may be found `again`, it is, and read on from there.
    """

    __slots__ = ("_again", "_find", "_found", "_seen")

    def __init__(self, find: Find, again: Callable[[TurnFailed], bool] | None = None) -> None:
        self._find = find
        self._again = again
        self._found: Batches | None = None
        self._seen = 0

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Batch:
        while True:
            found = self._found
            if found is None:
                found = self._found = await self._find(self._seen)
            try:
                batch = await found.__anext__()
            except TurnFailed as failed:
                if self._again is None or not self._again(failed):
                    raise
                self._found = None
            else:
                self._seen = batch.last
                return batch

    async def aclose(self) -> None:
        """The reader goes. Idempotent."""
        if self._found is not None:
            await self._found.aclose()
