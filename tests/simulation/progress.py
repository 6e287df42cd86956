"""What is seen of a long run while it runs: how far it is, and each seed that fails."""

from __future__ import annotations

from typing import TextIO

from simulation.running import Summary
from simulation.world import Result

_BAR = 30
_LINES = 50
"""So many lines say how far a run is where nobody can see a bar grow."""


class Progress:
    """Tells of a run, on a terminal by a bar, elsewhere by a line now and then.

    A seed that fails is told as soon as it is heard of, so that whoever waits can look into it,
    and so that it is known if the run does not come to its end.
    """

    def __init__(self, to: TextIO, total: int) -> None:
        """Tell of `total` schedules."""
        self._to = to
        self._total = max(1, total)
        self._bar = to.isatty()
        self._told: set[int] = set()
        self._line = 0

    def show(self, summary: Summary) -> None:
        """The run has come so far."""
        for seed in sorted(summary.failed.keys() - self._told):
            self._told.add(seed)
            self._write(("\r\033[K" if self._bar else "") + told(seed, summary.failed[seed]) + "\n")
        line = summary.schedules * _LINES // self._total
        if self._bar:
            self._write("\r" + self._so_far(summary))
        elif line > self._line:
            self._write(self._so_far(summary) + "\n")
        self._line = line

    def end(self) -> None:
        """The run is over: what follows begins on a line of its own."""
        if self._bar:
            self._write("\n")

    def _so_far(self, summary: Summary) -> str:
        done = summary.schedules * _BAR // self._total
        rate = summary.schedules / max(summary.seconds, 0.001)
        return (
            f"[{'#' * done}{'.' * (_BAR - done)}] {summary.schedules}/{self._total} "
            f"{rate:.0f}/s, {len(summary.failed)} failed"
        )

    def _write(self, text: str) -> None:
        self._to.write(text)
        self._to.flush()


def told(seed: int, result: Result) -> str:
    """One schedule in one line."""
    if not result.violations:
        return (
            f"seed {seed}: all held; {result.steps} steps, {result.seconds:.2f} s, {result.counts}"
        )
    first = result.violations[0]
    return f"seed {seed}: {first.invariant}: {first.what} (at {first.at:.3f} s)"
