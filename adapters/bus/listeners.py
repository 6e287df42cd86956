"""Who listens to what on this replica: shared by every bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.ports.bus import Leave, Notice, OwnerWanted, Topic

Heard = Callable[[Notice], None]


def topic_of(notice: Notice) -> Topic:
    """The one topic on which a notice is told."""
    return notice.owner if isinstance(notice, OwnerWanted) else notice


@dataclass(slots=True, eq=False)
class _Listener:
    heard: Heard
    listening: bool = True


class Listeners:
    """Callbacks by topic. One that fails is reported to the loop and harms no other.

    `opened` and `left` are called as the first listener of a topic comes and the last one goes.
    """

    def __init__(
        self,
        opened: Callable[[Topic], None] = lambda _: None,
        left: Callable[[Topic], None] = lambda _: None,
    ) -> None:
        self._opened = opened
        self._left = left
        self._by_topic: dict[Topic, list[_Listener]] = {}

    def __contains__(self, topic: Topic) -> bool:
        return topic in self._by_topic

    def topics(self) -> Sequence[Topic]:
        """What is listened to now."""
        return tuple(self._by_topic)

    def add(self, topic: Topic, heard: Heard) -> Leave:
        """Listen until the returned function is called."""
        listener = _Listener(heard)
        present = self._by_topic.get(topic)
        if present is None:
            self._by_topic[topic] = [listener]
            self._opened(topic)
        else:
            present.append(listener)
        return lambda: self._remove(topic, listener)

    def tell(self, topic: Topic, notice: Notice) -> None:
        """Call everyone who listens to the topic and has not left by the time of the call."""
        for listener in tuple(self._by_topic.get(topic, ())):
            if listener.listening:
                _call(listener.heard, notice)

    def _remove(self, topic: Topic, listener: _Listener) -> None:
        if not listener.listening:
            return
        listener.listening = False
        present = self._by_topic[topic]
        present.remove(listener)
        if not present:
            del self._by_topic[topic]
            self._left(topic)


def _call(heard: Heard, notice: Notice) -> None:
    try:
        heard(notice)
    except Exception as error:  # noqa: BLE001 - the listener's bug; the others must still hear
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a listener of the bus failed", "exception": error}
        )
