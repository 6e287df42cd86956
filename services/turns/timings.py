"""The clocks and bounds of the turn protocol, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import Seconds


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Defaults are those of the contract; all times are in seconds, all sizes in bytes.

    `lease` is how long a turn is its owner's after each write, `renew` how often a silent run
    writes for that alone. `gap` is the least time between two commits that carry first events,
    `tick` the window in which later text of all turns is gathered. `hold_bytes` and `hold` bound
    what a turn may hold back while the store cannot be reached.
    """

    lease: Seconds = Seconds(5.0)
    renew: Seconds = Seconds(0.5)
    poll: Seconds = Seconds(0.5)
    linger: Seconds = Seconds(0.25)
    turn_maximum: Seconds = Seconds(600.0)
    hard: Seconds = Seconds(10.0)
    settle_budget: Seconds = Seconds(5.0)
    provider_stop: Seconds = Seconds(0.2)
    gap: Seconds = Seconds(0.002)
    tick: Seconds = Seconds(0.020)
    hold: Seconds = Seconds(30.0)
    hold_bytes: int = 64 * 1024
    retry_store: Seconds = Seconds(0.2)
    tail_events: int = 512
    tail_bytes: int = 256 * 1024
    message_bytes: int = 1024 * 1024
    read_events: int = 64
