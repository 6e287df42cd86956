"""The server's time between two of its answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from adapters.state.encoding.values import time_of
from core.identifiers import Seconds

_TRUSTED_S = 10.0
"""So long a reading is carried on: this machine's clock strays by less than a millisecond."""


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ServerClock:
    """What the server's clock shows now, from what it last showed and the time since then.

    The reading was taken between the sending of a statement and its answer: half of that is how
    far this may be off. A replica's wall clock has no part in it.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._injected = now
        self._micros = 0
        self._at = float("-inf")

    @property
    def is_known(self) -> bool:
        """Whether a reading is young enough to go by."""
        return self._injected is not None or _boottime() - self._at < _TRUSTED_S

    def now(self) -> datetime:
        """The server's time, where it is known."""
        if self._injected is not None:
            return self._injected()
        return time_of(self._micros + round(1e6 * (_boottime() - self._at)))

    def sent(self) -> Seconds:
        """To be kept until the answer that tells the time, and given to `told`."""
        return Seconds(_boottime())

    def told(self, micros: int, sent: Seconds) -> datetime:
        """The server showed this, in answer to what was sent then. Returns the time to go by."""
        if self._injected is not None:
            return self._injected()
        self._micros, self._at = micros, (sent + _boottime()) / 2
        return time_of(micros)
