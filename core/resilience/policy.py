"""All that an operator can choose about resilience, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import Seconds
from core.resilience.breaker import BreakerPolicy
from core.resilience.failures import CooldownPolicy
from core.resilience.load import HedgePolicy
from core.resilience.retries import NO_RETRIES, RetryPolicy


@dataclass(frozen=True, slots=True)
class ResiliencePolicy:
    """`hold_first`: the first text is held back for so long, so that a failure within that time
    is followed by another's answer without anyone having seen the first. `affinity` is how long
    a conversation stays with the deployment that answered it last. `gather`: text that
    follows other text is passed on so often, for all streams together; the first, and one after a
    pause, at once.
    """

    breaker: BreakerPolicy = BreakerPolicy()
    cooldown: CooldownPolicy = CooldownPolicy()
    retry: RetryPolicy = RetryPolicy()
    hedge: HedgePolicy = HedgePolicy()
    hold_first: Seconds = Seconds(0.0)
    affinity: Seconds = Seconds(300.0)
    gather: Seconds = Seconds(0.0)


PLAIN = ResiliencePolicy(
    breaker=BreakerPolicy(minimum=1_000_000_000, in_a_row=1_000_000_000),
    cooldown=CooldownPolicy(Seconds(0.0), Seconds(0.0), Seconds(0.0), Seconds(0.0)),
    retry=NO_RETRIES,
    affinity=Seconds(0.0),
)
"""Candidates in order, each asked once; nobody is remembered."""
