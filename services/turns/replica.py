"""One life of one process, as the turn protocol sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.clock import Clock, NewId
from core.identifiers import BootId, Seconds
from core.ports.bus import Bus
from core.ports.turn_observer import QuietObserver, TurnObserver
from core.turns.contact import Contact
from services.turns.timings import TurnTimings


@dataclass(frozen=True, slots=True)
class Replica:
    """What a process life is called, what it tells the time by, and whom it talks to.

    `boottime` counts seconds also while the machine sleeps or the process is stopped. `draw` is
    uniform in [0, 1).
    """

    boot: BootId
    clock: Clock
    boottime: Callable[[], Seconds]
    new_id: NewId
    draw: Callable[[], float]
    bus: Bus
    observer: TurnObserver = field(default_factory=QuietObserver)


class StoreContact:
    """Whether this replica has been in touch with the store long enough to judge others."""

    def __init__(self, boottime: Callable[[], Seconds], timings: TurnTimings) -> None:
        self._boottime = boottime
        self._timings = timings
        self._contact = Contact()

    def reached(self, sent: Seconds) -> None:
        """A write that was sent then has just been committed."""
        now = self._boottime()
        self._contact = self._contact.reached(sent, now, self._timings.contact_gap)

    def covers_lease(self) -> bool:
        """Whether a lease that ran out may be taken for its owner's silence."""
        timings = self._timings
        return self._contact.covers(timings.lease, self._boottime(), timings.contact_gap)
