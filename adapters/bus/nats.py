"""Notices between the replicas of a mesh, over core NATS: at most once, nothing is kept.

Within the replica a notice takes no detour over the server, so that its own listeners hear also
while NATS is away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from adapters.bus import subjects
from adapters.bus.listeners import Heard, Listeners
from adapters.bus.local import LocalBus
from adapters.bus.nats_client import CANNOT_CONNECT, Connection, connect, tls_context
from adapters.bus.nats_link import Link, Work
from adapters.bus.nats_options import NatsOptions, NatsWatch
from core.errors import Unavailable
from core.ports.bus import Leave, Notice, OwnerWanted, Topic

_SENDING_S = 0.6
"""How long closing waits for what is queued; parting takes up to 0.3 s more."""
_STEADY_S = 5.0
"""A connection that lasted so long was a good one: the next try comes soon."""
_QUIET = NatsWatch()


async def open_nats(
    options: NatsOptions,
    watch: NatsWatch = _QUIET,
    draw: Callable[[], float] = random.random,
) -> NatsBus:
    """Connect, or go on trying in the background where the first try fails.

    Raises Unavailable where the options say that NATS is required, and OSError where a file for
    TLS cannot be used. `draw` is uniform in [0, 1).
    """
    if options.tls is not None:
        tls_context(options.tls)
    bus = NatsBus(options, watch, draw)
    try:
        if not await bus.connect_once() and options.required:
            raise Unavailable(f"NATS cannot be reached: {bus.cause}")
    except BaseException:
        await bus.close()
        raise
    return bus


class NatsBus:
    """The bus over NATS. It connects for as long as it is open; use open_nats."""

    def __init__(self, options: NatsOptions, watch: NatsWatch, draw: Callable[[], float]) -> None:
        self.cause = ""
        """Why it is not connected; empty where it is."""
        self._options = options
        self._watch = watch
        self._draw = draw
        self._listeners = Listeners(opened=self._follow, left=self._follow)
        self._local = LocalBus(options.most_waiting, watch.dropped, self._listeners)
        self._work = Work()
        self._connected = False
        self._tried = asyncio.Event()
        self._connecting = asyncio.create_task(self._keep_connected())

    @property
    def connected(self) -> bool:
        """Whether notices go out and come in now."""
        return self._connected

    def publish(self, notice: Notice) -> None:
        """Tell the listeners here, and queue it for the others."""
        self._local.publish(notice)
        if notice in self._work.notices:
            return
        if not self._connected or len(self._work.notices) >= self._options.most_waiting:
            self._watch.dropped()
            return
        if isinstance(notice, OwnerWanted) and _too_large(notice):
            self._watch.dropped()
            return
        self._work.notices[notice] = None
        self._work.stirred.set()

    def subscribe(self, topic: Topic, heard: Heard) -> Leave:
        """Listen to the topic until left; other replicas are heard a round trip from now."""
        return self._listeners.add(topic, heard)

    async def connect_once(self) -> bool:
        """Whether the first try succeeded, once it has ended."""
        await self._tried.wait()
        return self._connected

    async def flushed(self) -> bool:
        """Whether the server has what was published and subscribed until now, once that is known.

        What it had sent before that has arrived here.
        """
        if not self._connected:
            return False
        barrier: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._work.barriers.append(barrier)
        self._work.stirred.set()
        return await barrier

    async def close(self) -> None:
        """Send what is queued, within a second, then disconnect."""
        await self._local.close()
        try:
            async with asyncio.timeout(_SENDING_S):
                await self.flushed()
        except TimeoutError:
            self._drop_waiting()
        self._connecting.cancel()
        await asyncio.gather(self._connecting, return_exceptions=True)

    def _follow(self, topic: Topic) -> None:
        self._work.topics[topic] = None
        self._work.stirred.set()

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                connection = await connect(self._options, self._watch)
            except Exception as error:  # noqa: BLE001 - it is told, and must not end the trying
                failures += 1
                self._away(error)
            else:
                since = loop.time()
                await self._live(connection)
                failures = 0 if loop.time() - since > _STEADY_S else failures + 1
            await asyncio.sleep(self._wait_s(failures))

    async def _live(self, connection: Connection) -> None:
        link = Link(connection, self._work, self._listeners, self._options, self._local.publish)
        try:
            await link.restore()
            self._here()
            await link.last()
            self._away(ConnectionError("the connection was lost"))
        except CANNOT_CONNECT as error:
            self._away(error)
        finally:
            self._connected = False
            await connection.part()

    def _here(self) -> None:
        self._connected, self.cause = True, ""
        self._watch.connected()
        self._tried.set()

    def _away(self, error: BaseException) -> None:
        self._connected = False
        self._drop_waiting()
        cause = f"{type(error).__name__}: {error}"[:200]
        if cause != self.cause:
            self.cause = cause
            self._watch.disconnected(cause)
        self._tried.set()

    def _drop_waiting(self) -> None:
        for _ in range(len(self._work.notices)):
            self._work.notices.popitem()
            self._watch.dropped()
        barriers, self._work.barriers = self._work.barriers, []
        self._work.release(barriers, reached=False)

    def _wait_s(self, failures: int) -> float:
        """Full jitter: uniform in [0, min(cap, backoff * 2**failures))."""
        ceiling = self._options.backoff * 2.0 ** min(failures, 20)
        return self._draw() * min(self._options.backoff_cap, ceiling)


def _too_large(notice: OwnerWanted) -> bool:
    return len(subjects.payload(notice)) > subjects.LARGEST_PAYLOAD
