"""The clocks and bounds of the turn protocol, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import Seconds
from core.turns.retention import LEAST_LEAD

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Defaults are those of the contract; all times are in seconds, all sizes in bytes.

    `lease` is how long a turn is its owner's after each write, `renew` how often a silent run
    writes for that alone, `lease_margin` how much earlier the owner counts its lease as over.
    `contact_gap` is the longest time between two contacts with the store after which a replica
    may still judge the leases of others. `poll` is how often a reader looks for what it got no
    notice of, `reader_row` how long its replica counts as reading. `statement` bounds one request
    to the store. `hard` is how long after its deadline a turn is ended whoever runs it. `gap` is
    the least time between two commits that carry first events, `tick` the window in which later
    text of all turns is gathered. `hold_bytes` and `hold` bound what a turn may hold back while
    the store cannot be reached. The retentions count from the turn's end.
    """

    lease: Seconds = Seconds(5.0)
    renew: Seconds = Seconds(0.5)
    lease_margin: Seconds = Seconds(0.5)
    contact_gap: Seconds = Seconds(2.0)
    poll: Seconds = Seconds(0.5)
    sweep: Seconds = Seconds(1.0)
    sweep_spread: float = 0.2
    sweep_turns: int = 100
    reader_row: Seconds = Seconds(2.0)
    linger: Seconds = Seconds(0.25)
    statement: Seconds = Seconds(2.0)
    turn_maximum: Seconds = Seconds(600.0)
    hard: Seconds = Seconds(10.0)
    settle_budget: Seconds = Seconds(5.0)
    provider_stop: Seconds = Seconds(0.2)
    id_retention: Seconds = Seconds(24 * _HOUR)
    log_retention: Seconds = Seconds(48 * _HOUR)
    gap: Seconds = Seconds(0.002)
    tick: Seconds = Seconds(0.020)
    hold: Seconds = Seconds(30.0)
    hold_bytes: int = 64 * 1024
    retry_store: Seconds = Seconds(0.2)
    tail_events: int = 512
    tail_bytes: int = 256 * 1024
    message_bytes: int = 1024 * 1024
    read_events: int = 64

    def __post_init__(self) -> None:
        if self.log_retention < self.id_retention + LEAST_LEAD:
            raise ValueError("a log must be kept for an hour longer than its request id")
        if self.renew + self.lease_margin >= self.lease:
            raise ValueError("a lease must outlast its renewal and its margin")
        if self.poll >= self.reader_row:
            raise ValueError("a reader's row must outlast the polls that renew it")
        if self.sweep * (1 + self.sweep_spread) >= self.contact_gap:
            raise ValueError("sweeps must be more frequent than the gap that breaks contact")
