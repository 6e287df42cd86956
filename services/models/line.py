"""The line in front of a deployment: for a place, and for what its provider allows a minute.

Both are waited for in one line, so that a tenant's crowd gets no more of either than another's
single call.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from core.catalog import Limits
from core.identifiers import DeploymentName, Seconds, TenantId
from core.resilience.queueing import FairQueue
from core.resilience.rates import RateLimiter

_SHORTEST = 0.001
"""Seconds until a rate is looked at again: a clock's last digits must not be waited for."""


class TurnedAway(Exception):
    """A deployment has no room for this call, or rests. `retry_after` says when to come back."""

    def __init__(
        self, deployment: DeploymentName, retry_after: Seconds, cause: str = "busy"
    ) -> None:
        super().__init__(f"{deployment}: {cause}")
        self.retry_after = retry_after
        self.cause = cause


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A call in the line, and the tokens that it may use."""

    tokens: int
    turn: asyncio.Future[None]


class Line:
    """Who may go to one deployment, and in which order. `clock` is monotonic.

    `usual_wait` is told to those who are turned away from a place.
    """

    def __init__(
        self,
        name: DeploymentName,
        limits: Limits,
        clock: Callable[[], Seconds],
        usual_wait: Callable[[], Seconds],
    ) -> None:
        self._name = name
        self._limits = limits
        self._places = _places(limits)
        self._clock = clock
        self._usual_wait = usual_wait
        self._limiter = RateLimiter.of(limits, clock())  # None: calls come as they like
        self._queue: FairQueue[_Waiting] = FairQueue(limits.queued)
        self._running: defaultdict[TenantId, int] = defaultdict(int)
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def length(self) -> int:
        """How many wait."""
        return self._queue.length

    def of(self, limits: Limits) -> None:
        """Keep these limits from now on; those who wait go as soon as they allow it."""
        if limits == self._limits:
            return
        self._limits = limits
        self._places = _places(limits)
        self._limiter = RateLimiter.of(limits, self._clock())
        self._queue.size = limits.queued
        self._call()

    def went(self, tenant: TenantId, tokens: int, now: Seconds) -> bool:
        """Let a call go at once, if there is room, the rate allows it, and nobody waits."""
        if self._queue.length or self._under_way >= self._places:
            return False
        if self._limiter is not None and self._limiter.wait(tokens, now) > 0:
            return False
        self._go(tenant, tokens, now)
        return True

    async def wait(self, tenant: TenantId, tokens: int, patience: Seconds) -> None:
        """Wait in line, `patience` at most. Raises TurnedAway where the turn does not come."""
        rate = self._rate(tokens, self._clock())
        if patience <= 0 or rate > patience:
            raise self._turned_away(rate)
        waiting = _Waiting(tokens, asyncio.get_running_loop().create_future())
        for_it = self._queue.put(tenant, waiting)
        if for_it is not None and not for_it.turn.done():
            for_it.turn.set_exception(self._turned_away(rate))
        self._call()
        try:
            async with asyncio.timeout(patience):
                await waiting.turn
        except TimeoutError:
            self._give_up(tenant, waiting)
            raise self._turned_away(self._rate(tokens, self._clock())) from None
        except asyncio.CancelledError:
            self._give_up(tenant, waiting)
            raise

    def leave(self, tenant: TenantId, tokens: int, used: int) -> None:
        """A call is over. It used so many of the tokens that were taken for it."""
        if self._limiter is not None:
            self._limiter = self._limiter.correct(tokens, used, self._clock())
        self._free(tenant)

    def give_back(self, tenant: TenantId, tokens: int) -> None:
        """A call whose turn it was is not made after all."""
        if self._limiter is not None:
            self._limiter = self._limiter.put_back(tokens, self._clock())
        self._free(tenant)

    def _rate(self, tokens: int, now: Seconds) -> Seconds:
        """How long until the rate allows so many tokens."""
        return Seconds(0.0) if self._limiter is None else self._limiter.wait(tokens, now)

    def _go(self, tenant: TenantId, tokens: int, now: Seconds) -> None:
        self._running[tenant] += 1
        self._under_way += 1
        if self._limiter is not None:
            self._limiter = self._limiter.take(tokens, now)

    def _free(self, tenant: TenantId) -> None:
        self._under_way -= 1
        left = self._running[tenant] - 1
        if left:
            self._running[tenant] = left
        else:
            del self._running[tenant]
        if self._queue.length:
            self._call()

    def _call(self) -> None:
        """Let those go whose turn it is; where the rate holds the next one back, look again."""
        while self._under_way < self._places:
            following = self._queue.next(self._running)
            if following is None:
                return
            tenant, waiting = following
            now = self._clock()
            if not waiting.turn.done() and (wait := self._rate(waiting.tokens, now)) > 0:
                self._look_again(wait)
                return
            self._queue.take(self._running)
            if not waiting.turn.done():
                self._go(tenant, waiting.tokens, now)
                waiting.turn.set_result(None)

    def _look_again(self, wait: Seconds) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(wait, _SHORTEST), self._call)

    def _give_up(self, tenant: TenantId, waiting: _Waiting) -> None:
        """Leave the line; a turn that came at the same moment goes to the next."""
        if not self._queue.leave(tenant, waiting) and _came(waiting.turn):
            self.give_back(tenant, waiting.tokens)
        elif self._queue.length:
            self._call()

    def _turned_away(self, rate: Seconds) -> TurnedAway:
        return TurnedAway(self._name, rate if rate > 0 else self._usual_wait())


def _places(limits: Limits) -> float:
    return math.inf if limits.concurrent is None else limits.concurrent


def _came(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None
