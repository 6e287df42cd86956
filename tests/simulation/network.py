"""What lies between replicas, and between them and their clients: it delays, loses and repeats."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from core.ports.bus import Leave, Notice, OwnerWanted, Topic
from services.turns.reading import Batch
from simulation.loop import Actor, SeededLoop

Heard = Callable[[Notice], None]


def _topic_of(notice: Notice) -> Topic:
    return notice.owner if isinstance(notice, OwnerWanted) else notice


@dataclass(slots=True)
class BusWeather:
    """How notices fare: shares of 1, and seconds."""

    loss: float = 0.0
    repeats: float = 0.0
    delay: float = 0.003


class Exchange:
    """The bus that all replicas are on. `cut` holds the boots that cannot reach it now."""

    def __init__(self, loop: SeededLoop, draw: random.Random, weather: BusWeather) -> None:
        self.cut: set[str] = set()
        self.weather = weather
        self.buses: dict[str, ReplicaBus] = {}
        self._loop = loop
        self._draw = draw
        self._actor = loop.actor("network")

    def joined_by(self, boot: str, actor: Actor) -> ReplicaBus:
        """One life's connection."""
        self.buses[boot] = ReplicaBus(self, boot, actor)
        return self.buses[boot]

    def heal(self, boot: str) -> None:
        """The replica is connected again, and told that it may have missed something."""
        self.cut.discard(boot)
        bus = self.buses.get(boot)
        if bus is not None:
            self._loop.call_later(self._delay(), bus.catch_up, context=bus.actor.context)

    def send(self, sender: str, notice: Notice) -> None:
        """Carry a notice to every replica that listens, or lose it."""
        if sender in self.cut:
            return
        topic = _topic_of(notice)
        for boot, bus in self.buses.items():
            if topic not in bus.listeners or boot in self.cut:
                continue
            while self._draw.random() >= self.weather.loss:
                self._loop.call_later(
                    self._delay(), bus.deliver, topic, notice, context=bus.actor.context
                )
                if self._draw.random() >= self.weather.repeats:
                    break

    def _delay(self) -> float:
        return self.weather.delay * (0.2 + self._draw.random())


class ReplicaBus:
    """See core.ports.bus.Bus."""

    def __init__(self, exchange: Exchange, boot: str, actor: Actor) -> None:
        self.actor = actor
        self.listeners: dict[Topic, list[Heard]] = {}
        self._exchange = exchange
        self._boot = boot

    def publish(self, notice: Notice) -> None:
        self._exchange.send(self._boot, notice)

    def subscribe(self, topic: Topic, heard: Heard) -> Leave:
        def once(notice: Notice) -> None:
            heard(notice)

        self.listeners.setdefault(topic, []).append(once)

        def leave() -> None:
            listening = self.listeners.get(topic, [])
            if once in listening:
                listening.remove(once)
            if not listening:
                self.listeners.pop(topic, None)

        return leave

    async def close(self) -> None:
        self.listeners.clear()

    def deliver(self, topic: Topic, notice: Notice) -> None:
        """A notice has come."""
        for heard in list(self.listeners.get(topic, ())):
            heard(notice)

    def catch_up(self) -> None:
        """After an outage: something may have been missed."""
        for topic in list(self.listeners):
            if not isinstance(topic, str):
                self.deliver(topic, topic)


class Lost(Exception):
    """The connection to the replica broke."""


@dataclass(eq=False)
class Link:
    """One call's connection. The client's end is a queue; the server's a task that may be told
    that its client has gone."""

    loop: SeededLoop
    client: Actor
    server: Actor
    delay: Callable[[], float]
    sent: Callable[[Link, Batch], None]
    last: int = 0
    turn: str = ""
    window: int = 4
    broken: bool = False
    over: bool = False
    ended_at: float = float("inf")
    """When the server had its last word, which its client hears later."""
    handler: asyncio.Task[None] | None = None
    inbox: asyncio.Queue[Batch | object] = field(default_factory=asyncio.Queue)
    _sent_until: float = 0.0
    _in_flight: int = 0
    _room: asyncio.Future[None] | None = None

    async def send(self, batch: Batch) -> None:
        """The server's: on its way to the client, once there is room on it."""
        while self._in_flight >= self.window:
            self._room = self.loop.create_future()
            await self._room
        self._in_flight += 1
        self.sent(self, batch)
        self._carry(batch)

    def end(self, result: object) -> None:
        """The server's last word: None, an error, or what a call without a stream returns."""
        if not self.over:
            self.over, self.ended_at = True, self.loop.time()
            self._carry(End(result))

    def taken(self) -> None:
        """The client has taken a batch: there is room for another."""
        self.loop.call_later(self.delay(), self._make_room, context=self.client.context)

    def leave(self) -> None:
        """The client goes; its server hears of it a little later."""
        self.over = True
        if not self.broken:
            self.leave_server()

    def break_off(self) -> None:
        """The connection is gone, and what was on its way with it."""
        if not self.broken and not self.over:
            self.broken = True
            self.loop.call_later(
                self.delay(), self.inbox.put_nowait, End(Lost()), context=self.client.context
            )

    def leave_server(self) -> None:
        """The server is told that its client has gone."""
        if self.handler is not None:
            self.loop.call_later(self.delay(), self.handler.cancel, context=self.server.context)

    def _carry(self, item: object) -> None:
        self._sent_until = max(self._sent_until, self.loop.time() + self.delay())
        self.loop.call_at(self._sent_until, self._arrive, item, context=self.client.context)

    def _arrive(self, item: object) -> None:
        if not self.broken:
            self.inbox.put_nowait(item)

    def _make_room(self) -> None:
        self._in_flight -= 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


@dataclass(frozen=True, slots=True)
class End:
    """The last thing that a client hears on a link."""

    result: object
