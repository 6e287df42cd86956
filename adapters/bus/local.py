"""Notices within one process: for a node that is alone, or whose peers poll the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapters.bus.listeners import Heard, Listeners, topic_of
from core.ports.bus import Leave, Notice, Topic

MOST_WAITING = 10_000
"""Different notices that may wait for the next step of the loop."""


class LocalBus:
    """Tells the listeners of this process at the next step of the loop.

    Equal notices that wait together are told once: each only says "look now".
    """

    def __init__(
        self,
        most_waiting: int = MOST_WAITING,
        dropped: Callable[[], None] = lambda: None,
        listeners: Listeners | None = None,
    ) -> None:
        self._most_waiting = most_waiting
        self._dropped = dropped
        self._listeners = listeners or Listeners()
        self._waiting: dict[Notice, None] = {}
        self._closed = False

    def publish(self, notice: Notice) -> None:
        """Queue the notice, where anybody here listens."""
        if topic_of(notice) not in self._listeners or notice in self._waiting:
            return
        if self._closed or len(self._waiting) >= self._most_waiting:
            self._dropped()
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._tell_waiting)
        self._waiting[notice] = None

    def subscribe(self, topic: Topic, heard: Heard) -> Leave:
        """Listen to the topic until left."""
        return self._listeners.add(topic, heard)

    async def close(self) -> None:
        """Tell what waits; nothing is told afterwards."""
        self._closed = True
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for notice in waiting:
            self._listeners.tell(topic_of(notice), notice)
