"""How quickly a deployment answers, learned from its calls; when a second one is worth asking."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.identifiers import Seconds

_KEPT = 64
"""Waits that percentiles are taken of."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured. `first_token` is an exponentially weighted mean of the waits for it."""

    first_token: Seconds | None = None
    waits: tuple[float, ...] = ()

    def heard(self, wait: Seconds, *, weight: float = 0.2) -> Load:
        """A call's first piece came after so long."""
        before = self.first_token
        mean = wait if before is None else Seconds(before + weight * (wait - before))
        return Load(mean, (*self.waits[1 - _KEPT :], wait))

    def percentile(self, share: float) -> Seconds | None:
        """The wait that `share` of the latest calls did not exceed (nearest rank)."""
        if not self.waits:
            return None
        place = max(0, math.ceil(share * len(self.waits)) - 1)
        return Seconds(sorted(self.waits)[place])

    @property
    def samples(self) -> int:
        """How many waits the percentiles are taken of."""
        return len(self.waits)


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """When a second deployment is asked because the first is silent.

    After `after`, or where that is None after what `percentile` of the deployment's calls take,
    once `least_samples` are known; never before `soonest`, nor after `latest`. `share` of all
    calls may be hedged.
    """

    enabled: bool = False
    after: Seconds | None = None
    percentile: float = 0.95
    least_samples: int = 16
    soonest: Seconds = Seconds(0.2)
    latest: Seconds = Seconds(10.0)
    share: float = 0.1


def hedge_after(load: Load, policy: HedgePolicy) -> Seconds | None:
    """How long to wait for the first piece before another is asked; None: no other is."""
    if not policy.enabled:
        return None
    wait = policy.after
    if wait is None and load.samples >= policy.least_samples:
        wait = load.percentile(policy.percentile)
    return None if wait is None else Seconds(min(policy.latest, max(policy.soonest, wait)))
