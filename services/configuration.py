"""Settings that change while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.errors import InvalidInput, PreconditionFailed
from core.ports.bus import Bus, Everyone, Leave


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has come to: keys whose new value counts now, and those that need a restart."""

    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


Reread = Callable[[], Awaitable[Reloaded]]
"""Reads the settings again and goes by them. Raises InvalidInput; then nothing has changed."""


class Configuration:
    """Reads the settings again when an operator, or another process, asks for it.

    `tell` is told what came of those reloads that nobody waits for.
    """

    def __init__(
        self, bus: Bus, tell: Callable[[Reloaded | InvalidInput], None] = lambda _: None
    ) -> None:
        self._bus = bus
        self._tell = tell
        self._reread: Reread | None = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leave: Leave = lambda: None

    def open(self, reread: Reread | None) -> None:
        """Listen from now on. None: there is nothing that could be read again."""
        self._reread = reread
        self._leave = self._bus.subscribe(Everyone.RELOAD, lambda _: self.soon(mind=False))

    async def reload(self) -> Reloaded:
        """Read them here, and have every other process do so too. Raises InvalidInput."""
        done = await self._here()
        self._bus.publish(Everyone.RELOAD)
        return done

    def soon(self, *, mind: bool = True) -> None:
        """Read them here, in a task of its own. `mind`: it is told, too, that nothing changed."""
        if self._reread is None:
            return
        task = asyncio.get_running_loop().create_task(self._quietly(mind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Listen no more; a reload that runs ends."""
        self._leave()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _quietly(self, mind: bool) -> None:
        try:
            done = await self._here()
        except InvalidInput as refused:
            self._tell(refused)
            return
        if mind or done.applied:
            self._tell(done)

    async def _here(self) -> Reloaded:
        if self._reread is None:
            raise PreconditionFailed("this server was started without settings to read again")
        async with self._lock:
            return await self._reread()
