"""Every bus that keeps core.ports.bus.Bus; a new one is one more exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from adapters.bus.local import LocalBus
from core.ports.bus import Bus, Notice, Topic
from fakes.bus import FakeExchange

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
    for _ in range(3):
        await asyncio.sleep(0)


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


@pytest.fixture(params=["local", "fake"])
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Exchange]:
    async with AsyncExitStack() as opened:
        made: Exchange = LocalExchange() if request.param == "local" else FakeReplicas()
        opened.push_async_callback(made.close)
        yield made


@pytest.fixture(params=["fake"])
async def breakable(request: pytest.FixtureRequest) -> AsyncIterator[BreakableExchange]:
    made = FakeReplicas()
    yield made
    await made.close()
