"""What a storm is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StormOptions:
    """All times in seconds. 0 for what never happens.

    `kill_every`: a process drawn at random gets SIGKILL and is started again. `restart_every`:
    one gets SIGTERM, drains, and is started again. `stop_every`: one is paused by SIGSTOP for
    `stop_for`, which is longer than a lease. `cut_every`: a connection drawn at random breaks.
    `restart_store` and `restart_bus` are how many times the server of each is restarted.
    `away_for`, `full_for`: no storm, but one outage of the store, or one of room on its disk,
    under as many streams as there are clients.
    """

    folder: Path
    state: str = "sqlite"
    bus: str = "local"
    processes: int = 4
    clients: int = 64
    seconds: float = 300.0
    kill_every: float = 3.0
    restart_every: float = 0.0
    stop_every: float = 0.0
    stop_for: float = 8.0
    cut_every: float = 0.5
    away_for: float = 0.0
    full_for: float = 0.0
    restart_store: int = 0
    restart_bus: int = 0
    patience: float = 90.0
    seed: int = 1
    durability: str = ""
