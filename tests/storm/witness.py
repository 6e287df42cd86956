"""What clients saw: whole events, in the order in which they came, and how each reading ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from colonnade.v1.turns_pb2 import TURN_STATE_RUNNING, Turn, TurnEvent
from storm.questions import Question


def _nothing() -> None:
    return


@dataclass
class Reading:
    """One reader's view of a turn, over any number of connections.

    `ended` is "" while it goes on, "finished", "failed", "left", or what was not expected.
    """

    question: Question
    turn: str = ""
    events: list[TurnEvent] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ended: str = ""
    error: str = ""
    on_event: Callable[[], None] = _nothing

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self.events[-1].sequence if self.events else 0

    @property
    def finished(self) -> bool:
        """Whether the turn's last event has come."""
        return bool(self.events) and self.events[-1].HasField("finished")

    def take(self, events: Iterable[TurnEvent]) -> None:
        """What a call brought. A gap and a repeat are faults."""
        for event in events:
            if event.sequence != self.last + 1:
                kind = "repeat" if event.sequence <= self.last else "gap"
                self.faults.append(f"{kind}: {event.sequence} after {self.last}")
            if self.finished:
                self.faults.append(f"an event after finished: {event.sequence}")
            self.events.append(event)
            self.on_event()
            if event.HasField("started"):
                if self.turn and event.started.turn_id != self.turn:
                    self.faults.append(f"two turns: {self.turn}, {event.started.turn_id}")
                self.turn = event.started.turn_id


@dataclass
class Cancelled:
    """A cancel that was answered: when, on the client's clock, and with the turn as it was."""

    question: Question
    at: float
    turn: Turn

    @property
    def was_running(self) -> bool:
        """Whether the answer promises the reason CANCELLED."""
        return bool(self.turn.state == TURN_STATE_RUNNING)


class Witness:
    """All readings and cancels of a storm. `errors` counts what calls ended with, by status."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.cancels: list[Cancelled] = []
        self.questions: dict[str, Question] = {}
        self.errors: Counter[str] = Counter()
        self.errands = 0
        self.waits = 0
        self.longest_wait = 0.0
        self.largest_log = 0

    def reading(self, question: Question, turn: str = "") -> Reading:
        """A new reader's view."""
        self.questions[question.name] = question
        reading = Reading(question, turn)
        self.readings.append(reading)
        return reading

    def waited(self, seconds: float) -> None:
        """A client was told to come back, or found nobody, for so long in a row."""
        self.waits += 1
        self.longest_wait = max(self.longest_wait, seconds)

    def unexpected(self) -> Iterator[Reading]:
        """Readings that ended in none of the ways that the contract knows."""
        expected = ("finished", "failed", "left")
        return (reading for reading in self.readings if reading.ended not in expected)
