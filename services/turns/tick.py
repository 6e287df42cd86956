"""The common tick of a process's streams: who waits for it is woken together with all others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.identifiers import Seconds


class Tick:
    """Comes while somebody waits for it, `period` seconds after the one before, at the latest.

    Who brings text waits for it, and who commits the text is called behind all of them: so what
    came meanwhile is carried on together, and nothing waits for two ticks. Belongs to one loop.
    """

    def __init__(self, period: Seconds) -> None:
        self.period = period
        self.turned: Callable[[], None] | None = None
        """Called at each tick, when all who waited have gone on as far as they could at once."""
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for the next one."""
        return bool(self._waiting)

    def come(self) -> None:
        """Have the next one come, within a period."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            now, due = loop.time(), self._last + self.period
            self._timer = loop.call_at(due if due > now else now + self.period, self._turn, loop)

    def wait(self) -> asyncio.Future[None]:
        """Done at the next one. It is the caller's alone, who may cancel it."""
        self.come()
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        return told

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._last = None, loop.time()
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():  # else who waited has left
                told.set_result(None)
        if self.turned is not None:
            loop.call_soon(self.turned)  # a loop calls in the order in which it was asked to
