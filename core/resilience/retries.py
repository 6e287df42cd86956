"""Trying again: how long to wait, and how much of it the system can bear."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import Seconds
from core.replacing import replaced


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`rounds` is how often the candidates are gone through; 1 is without a retry.

    Between two rounds lies a wait of up to `base`, twice that before the third, and so on up to
    `cap`. A provider's own advice is kept up to `longest_advice`; who wants more is not waited
    for. `most_attempts` bounds all calls of a request, hedges and fallbacks too.
    """

    rounds: int = 3
    base: Seconds = Seconds(0.5)
    cap: Seconds = Seconds(5.0)
    longest_advice: Seconds = Seconds(60.0)
    most_attempts: int = 8


NO_RETRIES = RetryPolicy(rounds=1)


def retry_delay(
    round: int, policy: RetryPolicy, advice: Seconds | None, draw: float
) -> Seconds | None:
    """How long to wait before this round (from 2), or None to give up.

    Full jitter (Brooker 2015): uniform in [0, min(cap, base * 2**(round - 2))], where the caller
    supplies the uniform `draw` in [0, 1). The provider's latest advice is a lower bound.
    """
    if round > policy.rounds:
        return None
    ceiling = min(policy.cap, policy.base * 2.0 ** (round - 2))
    wait = draw * ceiling
    if advice is None:
        return Seconds(wait)
    return None if advice > policy.longest_advice else Seconds(max(wait, advice))


@dataclass(frozen=True, slots=True)
class Allowance:
    """Extra calls in proportion to ordinary ones: each of those adds `share` of one.

    Up to `most` are saved, and `per_second` come by themselves, so that a quiet service may
    retry too. When everything fails, the extra calls die down instead of doubling the load.
    """

    share: float = 0.2
    most: float = 10.0
    per_second: float = 0.1
    saved: float = 10.0
    at: Seconds = Seconds(0.0)

    def called(self, now: Seconds, times: int = 1) -> Allowance:
        """So many ordinary calls were made since it was asked last."""
        return self._with(self._grown(now) + times * self.share, now)

    def spend(self, now: Seconds) -> Allowance | None:
        """One extra call; None where there is nothing left for it."""
        grown = self._grown(now)
        return self._with(grown - 1, now) if grown >= 1 else None

    def _grown(self, now: Seconds) -> float:
        return min(self.most, self.saved + max(0.0, now - self.at) * self.per_second)

    def _with(self, saved: float, now: Seconds) -> Allowance:
        return replaced(self, saved=min(self.most, saved), at=Seconds(max(now, self.at)))
