"""What operators are told of the caches' rows in the state."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class LookUp(Enum):
    """What came of looking for one value."""

    HIT = "hit"
    MISS = "miss"
    UNREADABLE = "unreadable"
    """A row is there, of a format that this program does not read."""
    AWAY = "away"
    """The store did not answer in time, or was left alone because it had not."""


class CacheObserver(Protocol):
    """Takes facts and returns at once. `kind` is that of the rows."""

    def cache_looked_up(self, kind: str, outcome: LookUp, count: int) -> None:
        """So many values were looked for in the state, since the process had none."""

    def cache_dropped(self, kind: str, count: int) -> None:
        """So many values were not written: too large, too many, or the store refused them."""


class QuietCache:
    """A CacheObserver that nobody listens to."""

    def cache_looked_up(self, kind: str, outcome: LookUp, count: int) -> None:
        """See CacheObserver."""

    def cache_dropped(self, kind: str, count: int) -> None:
        """See CacheObserver."""


QUIET_CACHE = QuietCache()
