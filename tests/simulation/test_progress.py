"""A long run says how far it is, and each seed that fails when it does."""

from __future__ import annotations

import io

from simulation.progress import Progress
from simulation.running import Summary
from simulation.world import Result, Violation


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def result(seed: int, *violations: Violation) -> Result:
    return Result(seed, list(violations), digest=0, steps=1, seconds=1.0, counts={})


def a_run(to: io.StringIO) -> str:
    summary, progress = Summary(), Progress(to, 4)
    summary.add(1, result(1))
    progress.show(summary)
    summary.add(2, result(2, Violation("one turn an id", "turn-7", 3.0)))
    progress.show(summary)
    summary.add(3, result(3))
    progress.show(summary)
    progress.end()
    return to.getvalue()


def test_a_seed_that_fails_is_told_at_once_and_once() -> None:
    lines = a_run(io.StringIO()).splitlines()
    assert [line for line in lines if line.startswith("seed")] == [
        "seed 2: one turn an id: turn-7 (at 3.000 s)"
    ]
    assert lines[1].startswith("seed 2")


def test_a_log_gets_lines_and_a_terminal_a_bar() -> None:
    assert "\r" not in a_run(io.StringIO())
    seen = a_run(Terminal())
    assert seen.count("\n") == 2  # the seed that failed, and the end
    assert "3/4" in seen.rsplit("\r", 1)[1]
