"""The way into each deployment: whether it may be called now, by whom, and how it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from core.catalog import Deployment, Limits
from core.clock import Clock
from core.identifiers import DeploymentName, Seconds, TenantId
from core.resilience.breaker import Breaker, Permit, begin, end, rest_of
from core.resilience.failures import ANSWERED, GIVEN_UP, Verdict
from core.resilience.load import Load
from core.resilience.policy import PLAIN, ResiliencePolicy
from core.resilience.queueing import FairQueue
from core.resilience.rates import RateLimiter
from core.resilience.retries import Allowance
from core.routing import Standing, Standings
from core.routing.standing import FRESH


class TurnedAway(Exception):
    """A deployment has no room for this call, or rests. `retry_after` says when to come back."""

    def __init__(
        self, deployment: DeploymentName, retry_after: Seconds, cause: str = "busy"
    ) -> None:
        super().__init__(f"{deployment}: {cause}")
        self.retry_after = retry_after
        self.cause = cause


class Lane:
    """One deployment's state in this process. It outlives the catalog's reloads."""

    def __init__(self, deployment: Deployment, clock: Clock, policy: ResiliencePolicy) -> None:
        self._clock = clock
        self._policy = policy
        self.name = deployment.name
        self.breaker = Breaker()
        self.load = Load()
        self._limits = deployment.limits
        self._limiter = RateLimiter.of(self._limits, clock.monotonic())
        self._running: dict[TenantId, int] = {}
        self._under_way = 0
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(self._limits.queued)

    def of(self, limits: Limits) -> Lane:
        """The same lane, with the limits that a reload may have changed."""
        if limits is not self._limits and limits != self._limits:
            self._limits = limits
            self._limiter = RateLimiter.of(limits, self._clock.monotonic())
            self._queue.size = limits.queued
        return self

    def adopt(self, policy: ResiliencePolicy) -> None:
        """Go by this policy from now on."""
        self._policy = policy

    def standing(self) -> Standing:
        """How it does, as it is shown."""
        return replace(self.bearing(), slow_first_token=self.load.percentile(0.95))

    def bearing(self) -> Standing:
        """How it does, as far as routing decides by it: without what costs most to reckon."""
        return Standing(
            self.load.outstanding + len(self._queue),
            self.load.first_token,
            None,
            rest_of(self.breaker, self._policy.breaker, self._clock.monotonic()),
        )

    async def enter(
        self, tenant: TenantId, tokens: int, patience: Seconds, *, last_resort: bool = False
    ) -> Passage:
        """Wait for room, `patience` at most. Raises TurnedAway where there is none by then.

        Only the `last_resort` is let through to a deployment that rests.
        """
        now = self._clock.monotonic()
        until = now + patience
        if self._has_room:
            self._take_place(tenant)
        else:
            await self._wait_for_place(tenant, patience)
            now = self._clock.monotonic()
        try:
            rest = rest_of(self.breaker, self._policy.breaker, now)
            if rest is not None and not last_resort:
                raise TurnedAway(self.name, rest.again_in, "resting")
            wait = self._limiter.wait(tokens, now)
            if wait > 0 and now + wait > until:
                raise TurnedAway(self.name, wait)
            self._limiter = self._limiter.take(tokens, now)
            if wait > 0:
                await asyncio.sleep(wait)
                now = self._clock.monotonic()
        except BaseException:
            self._leave_place(tenant)
            raise
        self.load = self.load.began()
        self.breaker, permit = begin(self.breaker, self._policy.breaker, now)
        return Passage(self, tenant, tokens, permit, now)

    def _left(self, passage: Passage, verdict: Verdict, used: int) -> None:
        now = self._clock.monotonic()
        self.load = self.load.ended()
        self.breaker = end(self.breaker, self._policy.breaker, passage.permit, verdict, now)
        self._limiter = self._limiter.correct(passage.tokens, used, now)
        self._leave_place(passage.tenant)

    @property
    def _has_room(self) -> bool:
        most = self._limits.concurrent
        return most is None or (self._under_way < most and not len(self._queue))

    def _take_place(self, tenant: TenantId) -> None:
        self._running[tenant] = self._running.get(tenant, 0) + 1
        self._under_way += 1

    async def _wait_for_place(self, tenant: TenantId, patience: Seconds) -> None:
        if patience <= 0:
            raise TurnedAway(self.name, self._usual_wait())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turned_away = self._queue.put(tenant, place)
        if turned_away is not None and not turned_away.done():
            turned_away.set_exception(TurnedAway(self.name, self._usual_wait()))
        try:
            async with asyncio.timeout(patience):
                await place
        except TimeoutError:
            self._give_up(tenant, place)
            raise TurnedAway(self.name, self._usual_wait()) from None
        except asyncio.CancelledError:
            self._give_up(tenant, place)
            raise

    def _give_up(self, tenant: TenantId, place: asyncio.Future[None]) -> None:
        """Leave the line; a place that was given at the same moment goes to the next."""
        if not self._queue.leave(tenant, place) and _was_given(place):
            self._leave_place(tenant)

    def _leave_place(self, tenant: TenantId) -> None:
        self._under_way -= 1
        left = self._running[tenant] - 1
        if left:
            self._running[tenant] = left
        else:
            del self._running[tenant]
        most = self._limits.concurrent
        while len(self._queue) and (most is None or self._under_way < most):
            following = self._queue.take(self._running)
            if following is None:
                return
            next_tenant, place = following
            if not place.done():
                self._take_place(next_tenant)
                place.set_result(None)

    def _usual_wait(self) -> Seconds:
        return Seconds(max(1.0, self.load.first_token or 0.0))


def _was_given(place: asyncio.Future[None]) -> bool:
    return place.done() and not place.cancelled() and place.exception() is None


@dataclass(slots=True)
class Passage:
    """One call's way through a lane, until `leave`, which must be called once."""

    lane: Lane
    tenant: TenantId
    tokens: int
    permit: Permit
    entered: Seconds
    heard: bool = False

    def first_piece(self, now: Seconds) -> None:
        """The first piece of the answer came."""
        if not self.heard:
            self.heard = True
            self.lane.load = self.lane.load.heard(Seconds(now - self.entered))

    def overtaken(self, now: Seconds) -> None:
        """It had said nothing when another was heard: it would have taken longer than this."""
        if not self.heard:
            self.lane.load = self.lane.load.heard(Seconds(now - self.entered))

    def leave(self, verdict: Verdict | None, used: int) -> None:
        """It is over. None: it was given up; what was heard shows that the deployment is up."""
        given_up = ANSWERED if self.heard else GIVEN_UP
        self.lane._left(self, verdict or given_up, used)


class Lanes:
    """Every deployment's lane, and what may be spent on extra calls."""

    def __init__(
        self,
        clock: Clock,
        policy: ResiliencePolicy = PLAIN,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.clock = clock
        self.policy = policy
        self.draw = draw
        self._lanes: dict[DeploymentName, Lane] = {}
        self._retries = Allowance()
        self._hedges = Allowance(share=policy.hedge.share)

    def of(self, deployment: Deployment) -> Lane:
        """This deployment's lane."""
        lane = self._lanes.get(deployment.name)
        if lane is None:
            lane = self._lanes[deployment.name] = Lane(deployment, self.clock, self.policy)
        return lane.of(deployment.limits)

    def adopt(self, policy: ResiliencePolicy, known: AbstractSet[DeploymentName]) -> None:
        """Go by this policy from now on; what was learned of deployments that are known stays."""
        self.policy = policy
        self._hedges = replace(self._hedges, share=policy.hedge.share)
        self._lanes = {name: lane for name, lane in self._lanes.items() if name in known}
        for lane in self._lanes.values():
            lane.adopt(policy)

    def standings(self) -> Standings:
        """How each deployment that was called does, as it is shown."""
        return {name: lane.standing() for name, lane in self._lanes.items()}

    def bearing(self, name: DeploymentName) -> Standing:
        """How this deployment does, as far as routing decides by it."""
        lane = self._lanes.get(name)
        return FRESH if lane is None else lane.bearing()

    def called(self) -> None:
        """A request was sent on its way: that allows for some extra calls."""
        now = self.clock.monotonic()
        self._retries = self._retries.called(now)
        self._hedges = self._hedges.called(now)

    def may_retry(self) -> bool:
        """Take one retry from what is allowed."""
        spent = self._retries.spend(self.clock.monotonic())
        self._retries = spent or self._retries
        return spent is not None

    def may_hedge(self) -> bool:
        """Take one hedge from what is allowed."""
        spent = self._hedges.spend(self.clock.monotonic())
        self._hedges = spent or self._hedges
        return spent is not None
