"""A deployment's published limits of requests and tokens a minute, kept before it complains."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.catalog import Limits
from core.identifiers import Seconds

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """Holds up to `capacity`, and fills at `per_second`. `level` is what it held at `at`."""

    capacity: float
    per_second: float
    level: float
    at: Seconds = Seconds(0.0)

    @classmethod
    def full(cls, per_minute: float, now: Seconds) -> TokenBucket:
        """A bucket for so many a minute, full."""
        return cls(per_minute, per_minute / _MINUTE, per_minute, now)

    def wait(self, amount: float, now: Seconds) -> Seconds:
        """How long until `amount` can be taken. More than it holds waits for it to be full."""
        missing = min(amount, self.capacity) - self._level(now)
        return Seconds(max(0.0, missing / self.per_second))

    def take(self, amount: float, now: Seconds) -> TokenBucket:
        """Take it, into debt if need be; a negative amount puts back."""
        level = min(self.capacity, self._level(now) - amount)
        return replace(self, level=level, at=now)

    def _level(self, now: Seconds) -> float:
        return min(self.capacity, self.level + max(0.0, now - self.at) * self.per_second)


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """Both limits of one deployment; None is no limit."""

    requests: TokenBucket | None = None
    tokens: TokenBucket | None = None

    @classmethod
    def of(cls, limits: Limits, now: Seconds) -> RateLimiter | None:
        """A limiter that has not been used yet; None where nothing is limited."""
        rpm, tpm = limits.requests_per_minute, limits.tokens_per_minute
        if rpm is None and tpm is None:
            return None
        return cls(
            None if rpm is None else TokenBucket.full(rpm, now),
            None if tpm is None else TokenBucket.full(tpm, now),
        )

    def wait(self, tokens: int, now: Seconds) -> Seconds:
        """How long until a call of so many tokens is within both limits."""
        waits = [
            self.requests.wait(1, now) if self.requests else 0.0,
            self.tokens.wait(tokens, now) if self.tokens else 0.0,
        ]
        return Seconds(max(waits))

    def take(self, tokens: int, now: Seconds) -> RateLimiter:
        """A call with so many tokens, at most, is made."""
        return RateLimiter(
            self.requests and self.requests.take(1, now),
            self.tokens and self.tokens.take(tokens, now),
        )

    def put_back(self, tokens: int, now: Seconds) -> RateLimiter:
        """The call for which these were taken is not made."""
        return RateLimiter(
            self.requests and self.requests.take(-1, now),
            self.tokens and self.tokens.take(-tokens, now),
        )

    def correct(self, reserved: int, used: int, now: Seconds) -> RateLimiter:
        """The call used so many of the tokens that were taken for it."""
        if self.tokens is None:
            return self
        return replace(self, tokens=self.tokens.take(used - reserved, now))
