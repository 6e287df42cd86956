"""A number of schedules that are always the same, and a few that nobody has seen before."""

from __future__ import annotations

import os

from simulation.progress import told
from simulation.running import run_seeds
from simulation.world import Result

FIXED = 300
FRESH = 60


def test_the_protocol_holds_in_schedules_that_are_known() -> None:
    summary = run_seeds(range(FIXED))
    assert not summary.failed, _told(summary.failed)
    assert summary.counts["takeovers"] > FIXED / 20  # or the faults have lost their bite
    assert summary.counts["reruns"] > FIXED / 40
    assert summary.counts["calls"] > FIXED


def test_the_protocol_holds_in_schedules_that_are_new() -> None:
    first = int.from_bytes(os.urandom(5))
    print(f"seeds {first} to {first + FRESH - 1}")
    summary = run_seeds(range(first, first + FRESH))
    assert not summary.failed, _told(summary.failed)


def _told(failed: dict[int, Result]) -> str:
    lines = [told(seed, result) for seed, result in sorted(failed.items())]
    again = f"python -m tests.simulation --seed {min(failed)} --trace"
    return "\n".join([*lines, f"run it again, cut down: {again}"])
