"""The connections of this process, lent to one transaction at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from adapters.state.failures import StoreUnusable
from adapters.state.postgres.failures import PREFIX, BatchFailed, unavailable
from adapters.state.postgres.link import Call, Link
from adapters.state.postgres.options import PostgresOptions
from core.ports.state import StoreUnavailable

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
"""Between tries to connect, doubled with each that fails."""

ROLLBACK = Call("ROLLBACK", ())
Connect = Callable[[], Awaitable[Link]]


class Pool:
    """Lends the connection that was last given back, so that few are used and the rest may go.

    Who comes when none is free waits in turn. A connection that dies is forgotten at once, and
    made anew as long as somebody waits: a restart of the server is waited through.
    """

    def __init__(self, connect: Connect, options: PostgresOptions) -> None:
        self._connect = connect
        self._options = options
        self._idle: list[Link] = []  # the one that was used last comes last
        self._used_at: dict[Link, float] = {}
        self._trimming: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._open = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._recovering: set[asyncio.Task[None]] = set()
        self._closing = False
        self._emptied = asyncio.Event()
        self._last_cause = ""

    async def acquire(self) -> Link:
        """A connection that is yours until you release it. Raises StoreUnavailable."""
        if self._closing:
            raise unavailable("it is closed")
        if self._idle:
            return self._idle.pop()
        if len(self._waiting) >= self._options.queue_limit:
            raise unavailable("too many wait for it")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Link] = loop.create_future()
        self._waiting.append(place)
        self._grow()
        alarm = loop.call_later(self._options.acquire_timeout, self._give_up, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.release(place.result())  # it came in the moment of the cancel
            self._leave(place)
            raise
        finally:
            alarm.cancel()

    def release(self, link: Link) -> None:
        """Give back a connection that is between transactions, or dead."""
        if link.is_dead:
            return  # forgotten when it died
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(link)
                return
        if self._closing:
            link.close()
            return
        self._idle.append(link)
        self._used_at[link] = asyncio.get_running_loop().time()
        if self._trimming is None:
            self._trim()

    def _trim(self) -> None:
        """Close those that nobody has needed for long; look again later while there are any."""
        loop = asyncio.get_running_loop()
        unused_since = loop.time() - self._options.idle_timeout
        while self._idle and self._used_at[self._idle[0]] <= unused_since:
            self._idle[0].close()
        self._trimming = None
        if self._idle and not self._closing:
            self._trimming = loop.call_later(self._options.idle_timeout, self._trim)

    def release_after(self, link: Link, call: Call) -> None:
        """Give back a connection once it has answered this, for which nobody waits."""
        if link.is_dead:
            return
        link.post(call, lambda: self.release(link))

    async def undo(self, link: Link) -> None:
        """Give back a connection whose transaction was left in the middle, once it is undone.

        That is waited for, unless the server is at work on something still: whoever was
        cancelled does not wait for the end of that.
        """
        is_at_work = link.is_busy
        task = asyncio.get_running_loop().create_task(self._recover(link), name="postgres-recover")
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)
        if not is_at_work:
            await asyncio.shield(task)

    async def _recover(self, link: Link) -> None:
        try:
            await link.drained()
            await link.run([ROLLBACK])
        except BatchFailed:
            link.close()
        self.release(link)

    async def close(self) -> None:
        """Refuse who comes now, wait for who is under way, then close all. Idempotent."""
        self._closing = True
        for task in self._connecting:
            task.cancel()
        while self._waiting:
            self._fail(self._waiting.popleft(), unavailable("it is closed"))
        if self._trimming is not None:
            self._trimming.cancel()
        for link in list(self._idle):
            link.close()
        if self._open:
            await self._emptied.wait()

    def _leave(self, place: asyncio.Future[Link]) -> None:
        if place in self._waiting:
            self._waiting.remove(place)

    def _grow(self) -> None:
        """Make as many connections as are wanted and allowed."""
        wanted = len(self._waiting) - len(self._connecting)
        room = self._options.connections - self._open - len(self._connecting)
        for _ in range(min(wanted, room)):
            task = asyncio.get_running_loop().create_task(self._add(), name="postgres-connect")
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _add(self) -> None:
        """Try to connect until it succeeds, or nobody waits."""
        pause = _FIRST_PAUSE_S
        while self._waiting:
            try:
                link = await self._connect()
            except StoreUnusable as refused:
                self._refuse_all(refused)
            except StoreUnavailable as away:
                self._last_cause = str(away).removeprefix(PREFIX)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._open += 1
                link.on_death = self._forget
                self.release(link)
                return

    def _forget(self, link: Link) -> None:
        self._open -= 1
        self._used_at.pop(link, None)
        if link in self._idle:
            self._idle.remove(link)
        if self._closing and not self._open:
            self._emptied.set()
        if not self._closing:
            self._grow()

    def _give_up(self, place: asyncio.Future[Link]) -> None:
        self._leave(place)
        is_away = not self._open and self._last_cause
        self._fail(place, unavailable(self._last_cause if is_away else "no connection came free"))

    def _refuse_all(self, refused: StoreUnavailable) -> None:
        while self._waiting:
            self._fail(self._waiting.popleft(), refused)

    def _fail(self, place: asyncio.Future[Link], error: StoreUnavailable) -> None:
        if not place.done():
            place.set_exception(error)
