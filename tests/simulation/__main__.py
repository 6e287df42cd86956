"""python -m tests.simulation: many schedules, one schedule, or the table of mutations."""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent), str(_TESTS.parent / "cmd")]

if __name__ == "__main__":
    from simulation.command import main

    sys.exit(main(sys.argv[1:]))
