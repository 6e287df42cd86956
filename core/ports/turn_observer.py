"""What the turn protocol tells operators of its own health."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from core.identifiers import Seconds


class TakeOver(Enum):
    """Why a turn was settled by another than its runner."""

    LEASE = "lease"
    """Its owner had not renewed the lease."""
    DEADLINE = "deadline"
    """It was past its deadline by the hard limit, though somebody still renewed."""
    START = "start"
    """It was left by an earlier life of a process that has the store for itself."""


class TurnObserver(Protocol):
    """Takes facts and returns at once; it never raises and never blocks the loop."""

    def committed(self, seconds: Seconds, runs: int, events: int) -> None:
        """A group commit of the runs' writes went through, and took so long."""

    def took_over(self, why: TakeOver) -> None:
        """This replica has settled a turn that it did not run."""

    def lease_age(self, seconds: Seconds) -> None:
        """The longest time since any run of this replica renewed its lease; every half second.

        0 is said once when nothing runs any more.
        """

    def held_back(self, output: int) -> None:
        """Bytes of output that wait for a store that cannot be reached; 0 once it is back."""

    def reader_lagged(self) -> None:
        """A reader here fell behind the tail in memory, and goes on from the log."""


class QuietObserver:
    """A TurnObserver that nobody listens to."""

    def committed(self, seconds: Seconds, runs: int, events: int) -> None:
        """See TurnObserver."""

    def took_over(self, why: TakeOver) -> None:
        """See TurnObserver."""

    def lease_age(self, seconds: Seconds) -> None:
        """See TurnObserver."""

    def held_back(self, output: int) -> None:
        """See TurnObserver."""

    def reader_lagged(self) -> None:
        """See TurnObserver."""
