"""Time, ids and draws as values that are handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.identifiers import Seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks: `now` for what is written down (aware, UTC), `monotonic` for deadlines.

    `monotonic` runs on the event loop's own time, so that a loop with virtual time moves both
    its timers and our deadlines.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], Seconds]


NewId = Callable[[str], str]
"""Makes a fresh id with the given prefix, sortable by the time of its making."""
