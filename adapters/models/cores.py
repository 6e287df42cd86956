"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""A container's share, as the kernel tells it (cgroup v2): microseconds of each period."""


def usable_cores(limit: Path = CPU_LIMIT) -> int:
    """At least one. A container that may use two of sixty-four cores is told two.

    Threads beyond that would stand still while others wait for them.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS
        cores = os.cpu_count() or 1
    share = _share(limit)
    return cores if share is None else max(1, min(cores, share))


def _share(limit: Path) -> int | None:
    try:
        quota, period = limit.read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None  # no limit ("max"), or no cgroup
