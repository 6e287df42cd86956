"""What one connection to NATS does from its first to its last moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from adapters.bus import subjects
from adapters.bus.listeners import Listeners, topic_of
from adapters.bus.nats_client import CANNOT_CONNECT, Connection
from adapters.bus.nats_options import NatsOptions
from core.identifiers import Seconds
from core.ports.bus import Everyone, Notice, Topic, TurnChanged

_STEP = 100
"""So much is done before the loop's other work has its turn: nats-py mostly doesn't wait."""
_MOST_HEARD = 1_000
"""Messages of one topic that may wait to be heard."""


@dataclass(slots=True)
class Work:
    """What waits for a connection's next round. `topics`: whose listeners came or went."""

    notices: OrderedDict[Notice, None] = field(default_factory=OrderedDict)
    topics: dict[Topic, None] = field(default_factory=dict)
    barriers: list[asyncio.Future[bool]] = field(default_factory=list)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, barriers: list[asyncio.Future[bool]], reached: bool) -> None:
        """Tell those who wait for the server how it went."""
        for barrier in barriers:
            if not barrier.done():
                barrier.set_result(reached)


class Link:
    """Follows the listeners' topics and sends the notices that wait, until the connection ends."""

    def __init__(
        self,
        connection: Connection,
        work: Work,
        listeners: Listeners,
        options: NatsOptions,
        heard: Callable[[Notice], None],
    ) -> None:
        self._connection = connection
        self._work = work
        self._listeners = listeners
        self._prefix = options.prefix
        self._heartbeat: Seconds = options.heartbeat
        self._heard = heard
        self._followed: dict[Topic, Subscription] = {}

    async def restore(self) -> None:
        """Follow every topic that is listened to, then say once that all may have changed.

        Raises one of CANNOT_CONNECT.
        """
        topics = self._listeners.topics()
        self._work.topics.clear()
        await _in_steps(topics, self._follow)
        if not await self._connection.reached(self._heartbeat):
            raise TimeoutError("the server does not answer")
        await _in_steps(topics, self._tell_missed)

    async def last(self) -> None:
        """Work until the connection is lost."""
        tasks = [
            asyncio.create_task(self._rounds()),
            asyncio.create_task(self._beats()),
            asyncio.create_task(self._connection.gone.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            if not await self._connection.reached(self._heartbeat):
                return

    async def _rounds(self) -> None:
        while True:
            await self._work.stirred.wait()
            self._work.stirred.clear()
            barriers, self._work.barriers = self._work.barriers, []
            reached = False
            try:
                await self._round()
                reached = bool(barriers) and await self._connection.reached(self._heartbeat)
            except CANNOT_CONNECT:
                return
            finally:
                self._work.release(barriers, reached)

    async def _round(self) -> None:
        topics, self._work.topics = self._work.topics, {}
        await _in_steps(topics, self._follow)
        for sent in range(len(self._work.notices)):
            notice, _ = self._work.notices.popitem(last=False)
            subject = subjects.subject(self._prefix, topic_of(notice))
            await self._connection.client.publish(subject, subjects.payload(notice))
            if sent % _STEP == _STEP - 1:
                await asyncio.sleep(0)

    async def _follow(self, topic: Topic) -> None:
        """Subscribe where somebody listens now, unsubscribe where nobody does."""
        if topic in self._listeners:
            if topic not in self._followed:
                self._followed[topic] = await self._subscribe(topic)
        elif topic in self._followed:
            await self._followed.pop(topic).unsubscribe()

    async def _subscribe(self, topic: Topic) -> Subscription:
        async def arrived(message: Msg) -> None:
            notice = subjects.notice(topic, message.data)
            if notice is not None:
                self._heard(notice)

        return await self._connection.client.subscribe(
            subjects.subject(self._prefix, topic), cb=arrived, pending_msgs_limit=_MOST_HEARD
        )

    async def _tell_missed(self, topic: Topic) -> None:
        if isinstance(topic, TurnChanged | Everyone):
            self._listeners.tell(topic, topic)


async def _in_steps(topics: Iterable[Topic], act: Callable[[Topic], Awaitable[None]]) -> None:
    for number, topic in enumerate(topics, start=1):
        await act(topic)
        if number % _STEP == 0:
            await asyncio.sleep(0)
