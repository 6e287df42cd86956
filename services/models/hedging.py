"""Two attempts at once: the one that says something first is heard, the other one is stopped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from core.identifiers import Seconds
from core.ports.model_gateway import GatewayEvent, GatewayEvents

_ROOM = 64
"""Pieces that wait for a reader; a model that is ahead of it by more is not read meanwhile."""


class Flight:
    """An attempt's stream, read by a task of its own until it is closed."""

    def __init__(self, stream: GatewayEvents) -> None:
        self._arrived: deque[GatewayEvent] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: GatewayEvents) -> None:
        try:
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    self._arrived.append(piece)
                    self._news.set()
                    if len(self._arrived) >= _ROOM:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._news.set()

    @property
    def failed(self) -> bool:
        """Whether it ended in an error before it said anything."""
        if self._arrived or not self._task.done():
            return False
        return self._task.cancelled() or self._task.exception() is not None

    @property
    def speaks(self) -> bool:
        """Whether something has come, or it ended well."""
        return bool(self._arrived) or (self._task.done() and not self.failed)

    async def news(self) -> None:
        """Until something has come, or it has ended."""
        await self._news.wait()

    async def pieces(self) -> AsyncGenerator[GatewayEvent, None]:
        """All that comes, to the end. Raises what the stream raised."""
        while True:
            while self._arrived:
                yield self._arrived.popleft()
                self._room.set()
            if self._task.done():
                self._task.result()
                return
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        """Stop it; returns once it has been booked."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()


async def first_to_speak(flights: list[Flight], within: Seconds | None) -> Flight | None:
    """The first of them that says something; None where none does in time, or all have failed."""
    waits = {asyncio.ensure_future(flight.news()): flight for flight in flights}
    loop = asyncio.get_running_loop()
    until = None if within is None else loop.time() + within
    try:
        while waits:
            left = None if until is None else max(0.0, until - loop.time())
            done, _ = await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return None
            spoke = [waits.pop(wait) for wait in done]
            for flight in flights:
                if flight in spoke and flight.speaks:
                    return flight
        return None
    finally:
        for wait in waits:
            wait.cancel()
