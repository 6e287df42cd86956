"""Every bus that keeps core.ports.bus.Bus; a new one is one more exchange."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from adapters.bus.local import LocalBus
from adapters.bus.nats import NatsBus, open_nats
from adapters.bus.nats_options import NatsOptions, NatsWatch
from core.identifiers import Seconds
from core.ports.bus import Bus, Notice, Topic
from fakes.bus import FakeExchange
from servers.nats import NatsServer, shared_nats

PATIENCE_S = 10.0
"""How long a test waits for what must come; only a failure takes that long."""


class Exchange(Protocol):
    """What replicas are connected to, seen by a test."""

    async def replica(self) -> Bus:
        """One more replica. Where there can be only one, the one."""

    async def settle(self) -> None:
        """Return once every subscription so far hears, and has heard all that was published."""

    async def close(self) -> None:
        """Close every replica."""


class BreakableExchange(Exchange, Protocol):
    """An exchange that can be away."""

    async def go_away(self) -> None:
        """Disconnect everybody, and return when they know."""

    async def come_back(self) -> None:
        """Let everybody connect again, and return when they have."""


class LocalExchange:
    """One process: every replica is the same bus."""

    def __init__(self) -> None:
        self._bus = LocalBus()

    async def replica(self) -> Bus:
        return self._bus

    async def settle(self) -> None:
        await _a_few_steps()

    async def close(self) -> None:
        await self._bus.close()


class FakeReplicas:
    """Replicas on the fake."""

    def __init__(self) -> None:
        self._exchange = FakeExchange()

    async def replica(self) -> Bus:
        return self._exchange.replica()

    async def settle(self) -> None:
        await _a_few_steps()

    async def go_away(self) -> None:
        self._exchange.go_away()

    async def come_back(self) -> None:
        self._exchange.come_back()

    async def close(self) -> None:
        for bus in tuple(self._exchange.replicas):
            await bus.close()


async def _a_few_steps() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class NatsReplicas:
    """Replicas on a NATS server, under a prefix of their own."""

    def __init__(self, server: NatsServer, *, ends_with_it: bool = False) -> None:
        self._server = server
        self._ends_with_it = ends_with_it
        self._buses: list[NatsBus] = []
        self._changed = asyncio.Event()
        self._prefix = f"test.{uuid.uuid4().hex}"

    async def replica(self) -> NatsBus:
        options = NatsOptions(
            (self._server.url,), required=True, prefix=self._prefix, backoff_cap=Seconds(0.1)
        )
        watch = NatsWatch(
            connected=self._changed.set, disconnected=lambda _cause: self._changed.set()
        )
        bus = await open_nats(options, watch)
        self._buses.append(bus)
        return bus

    async def settle(self) -> None:
        for _ in range(2):
            for bus in self._buses:
                await bus.flushed()
        await _a_few_steps()

    async def go_away(self) -> None:
        self._server.kill()
        await self._all(connected=False)

    async def come_back(self) -> None:
        self._server.start()
        await self._all(connected=True)

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()
        if self._ends_with_it:
            self._server.stop()

    async def _all(self, *, connected: bool) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while any(bus.connected is not connected for bus in self._buses):
                self._changed.clear()
                await self._changed.wait()


class Ear:
    """Listens to one topic."""

    def __init__(self, bus: Bus, topic: Topic) -> None:
        self._heard: asyncio.Queue[Notice] = asyncio.Queue()
        self.leave = bus.subscribe(topic, self._heard.put_nowait)

    async def next(self) -> Notice:
        """The next notice that was heard."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._heard.get()

    def heard(self) -> list[Notice]:
        """What was heard by now and not yet taken."""
        return [self._heard.get_nowait() for _ in range(self._heard.qsize())]


def _on_nats(folder: Path) -> Exchange:
    return NatsReplicas(shared_nats())


def _on_nats_of_its_own(folder: Path) -> BreakableExchange:
    server = NatsServer(folder / "nats")
    server.start()
    return NatsReplicas(server, ends_with_it=True)


ALL_EXCHANGES = [
    pytest.param(lambda _: LocalExchange(), id="local"),
    pytest.param(_on_nats, id="nats"),
    pytest.param(lambda _: FakeReplicas(), id="fake"),
]
BREAKABLE = [
    pytest.param(_on_nats_of_its_own, id="nats"),
    pytest.param(lambda _: FakeReplicas(), id="fake"),
]


@pytest.fixture(params=ALL_EXCHANGES)
async def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Exchange]:
    opener: Callable[[Path], Exchange] = request.param
    opened = opener(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(params=BREAKABLE)
async def breakable(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[BreakableExchange]:
    opener: Callable[[Path], BreakableExchange] = request.param
    opened = opener(tmp_path)
    yield opened
    await opened.close()
