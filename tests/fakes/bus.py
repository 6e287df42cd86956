"""A bus between replicas of one process that loses, delays and goes away as a test wishes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from core.ports.bus import Everyone, Leave, Notice, OwnerWanted, Topic, TurnChanged

Heard = Callable[[Notice], None]
Fate = Callable[[Notice], float | None]
"""After how many seconds a notice arrives at one replica; None loses it."""


def _at_once(notice: Notice) -> float | None:
    return 0.0


def _lost(notice: Notice) -> float | None:
    return None


def _topic_of(notice: Notice) -> Topic:
    return notice.owner if isinstance(notice, OwnerWanted) else notice


@dataclass(eq=False)
class FakeExchange:
    """What the replicas of a test are connected to. `fate` is asked once a notice and replica."""

    fate: Fate = _at_once
    replicas: list[FakeBus] = field(default_factory=list)

    def replica(self) -> FakeBus:
        """One more replica's connection."""
        bus = FakeBus(self)
        self.replicas.append(bus)
        return bus

    def lose_everything(self) -> None:
        """From now on nothing arrives, and nobody is told so."""
        self.fate = _lost

    def delay(self, seconds: float) -> None:
        """From now on everything arrives this much later."""
        self.fate = lambda _: seconds

    def heal(self) -> None:
        """From now on everything arrives at once."""
        self.fate = _at_once

    def go_away(self) -> None:
        """No replica is connected any more."""
        for bus in self.replicas:
            bus.go_away()

    def come_back(self) -> None:
        """Every replica is connected again."""
        for bus in self.replicas:
            bus.come_back()


@dataclass(eq=False)
class FakeBus:
    """One replica's connection; alone it has an exchange of its own.

    `published` is everything that it was asked to tell; `dropped` counts what it could not.
    """

    exchange: FakeExchange
    published: list[Notice] = field(default_factory=list)
    dropped: int = 0
    connected: bool = True
    _listeners: list[tuple[Topic, Heard]] = field(default_factory=list)
    _closed: bool = False

    def publish(self, notice: Notice) -> None:
        """Hand the notice to every connected replica, when and if its fate says so."""
        self.published.append(notice)
        if self._closed or not self.connected:
            self.dropped += 1
            return
        loop = asyncio.get_running_loop()
        for replica in self.exchange.replicas:
            seconds = self.exchange.fate(notice)
            if seconds == 0:
                loop.call_soon(replica.arrive, notice)
            elif seconds is not None:
                loop.call_later(seconds, replica.arrive, notice)

    def subscribe(self, topic: Topic, heard: Heard) -> Leave:
        """Listen to the topic until left."""
        listener = (topic, heard)
        self._listeners.append(listener)
        return lambda: self._leave(listener)

    async def close(self) -> None:
        """Leave the exchange once what was published has had its step of the loop."""
        await asyncio.sleep(0)
        self._closed = True
        if self in self.exchange.replicas:
            self.exchange.replicas.remove(self)

    def arrive(self, notice: Notice) -> None:
        """The notice has reached this replica."""
        if self.connected and not self._closed:
            self._tell(_topic_of(notice), notice)

    def go_away(self) -> None:
        """This replica is cut off."""
        self.connected = False

    def come_back(self) -> None:
        """This replica is connected again, and says once that something may have been missed."""
        if self.connected or self._closed:
            return
        self.connected = True
        for topic in dict.fromkeys(topic for topic, _ in self._listeners):
            if isinstance(topic, TurnChanged | Everyone):
                asyncio.get_running_loop().call_soon(self._tell, topic, topic)

    def _tell(self, topic: Topic, notice: Notice) -> None:
        loop = asyncio.get_running_loop()
        for listener in tuple(self._listeners):
            if listener[0] == topic and any(listener is present for present in self._listeners):
                try:
                    listener[1](notice)
                except Exception as error:  # noqa: BLE001 - as a real bus: the others still hear
                    loop.call_exception_handler({"message": "listener", "exception": error})

    def _leave(self, listener: tuple[Topic, Heard]) -> None:
        self._listeners = [present for present in self._listeners if present is not listener]


def fake_bus() -> FakeBus:
    """A replica on an exchange of its own."""
    return FakeExchange().replica()
