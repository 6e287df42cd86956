"""Who is in, so that a store that closes waits for them."""

from __future__ import annotations

import asyncio

from adapters.state.postgres.failures import unavailable


class Doors:
    """Counts the blocks that have reached the store and are not over."""

    def __init__(self) -> None:
        self._inside = 0
        self._are_closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Raises StoreUnavailable once they are closed."""
        if self._are_closed:
            raise unavailable("it is closed")
        self._inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Who entered is done."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    async def close(self) -> None:
        """Let nobody in, and wait until all are out."""
        self._are_closed = True
        await self._empty.wait()
