"""A thread for what may wait for the disk or for a lock, and for what takes long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Done = Callable[[object, Exception | None], None]
"""What the loop calls when the work is done: with its result, or with the error."""


class BackThread:
    """Does work in order, one piece at a time, and tells the event loop.

    The thread starts with its first work. Bounded by its callers: a connection has one piece of
    work under way at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._work: SimpleQueue[tuple[Callable[[], object], Done] | None] = SimpleQueue()
        self._done: deque[tuple[Done, object, Exception | None]] = deque()
        self._on_its_way = False
        self._thread: Thread | None = None

    def submit(self, work: Callable[[], object], done: Done) -> None:
        """Called by the loop: have the work done there, and then `done` called here."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._work.put((work, done))

    def close(self) -> None:
        """Block until all work is done and the thread has ended."""
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            work, done = item
            try:
                self._tell(done, work(), None)
            except Exception as error:  # noqa: BLE001 - it is passed on to whoever asked
                self._tell(done, None, error)

    def _tell(self, done: Done, result: object, error: Exception | None) -> None:
        self._done.append((done, result, error))
        if self._on_its_way:
            return
        self._on_its_way = True
        try:
            self._loop.call_soon_threadsafe(self._hand_out)
        except RuntimeError:  # the loop was closed over our heads: nobody waits
            self._done.clear()

    def _hand_out(self) -> None:
        # Lowered before the results are taken: one that comes meanwhile raises it again.
        self._on_its_way = False
        while self._done:
            done, result, error = self._done.popleft()
            done(result, error)
