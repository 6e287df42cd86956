"""A bounded way from a thread that makes pieces to the event loop that reads them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class ChunkBuffer:
    """Carries pieces from one thread to one reader, at most `limit` of them at a time.

    The thread waits while it is full: so does what the thread waits for, or it holds its own
    output back. A reader that stops lets the thread go on at once, to be told that it may stop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._stopped = False
        self._error: Exception | None = None

    def put(self, piece: bytes) -> bool:
        """Hands a piece over, once there is room. True where the reader wants no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pieces) < self._limit)
            if self._stopped:
                return True
            self._pieces.append(piece)
            first = len(self._pieces) == 1
        if first:
            self._wake()
        return False

    def end(self, error: Exception | None = None) -> None:
        """There will be no more pieces. The reader gets those that are left, then the error."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
        self._wake()

    def stop(self, error: Exception | None = None) -> None:
        """The reader wants no more; with an error, it shall get that next. On the loop only."""
        with self._changed:
            self._stopped = self._ended = True
            self._error = self._error or error
            self._pieces.clear()
            self._changed.notify_all()
        self._news.set()

    @property
    def is_stopped(self) -> bool:
        """Whether the reader wants no more."""
        return self._stopped

    async def get(self) -> bytes | None:
        """The next piece, None after the last. Raises the error that `end` or `stop` were given."""
        while True:
            with self._changed:
                if self._pieces:
                    self._changed.notify()
                    return self._pieces.popleft()
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
                self._news.clear()
            await self._news.wait()

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)
