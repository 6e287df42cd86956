"""The way into each deployment: whether it may be called now, by whom, and how it does."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from core.catalog import Deployment, Limits
from core.clock import Clock
from core.identifiers import DeploymentName, Seconds, TenantId
from core.resilience.breaker import Breaker, Permit, Phase, begin, end, rest_of
from core.resilience.failures import ANSWERED, GIVEN_UP, Verdict
from core.resilience.load import Load
from core.resilience.policy import PLAIN, ResiliencePolicy
from core.resilience.retries import Allowance
from core.routing import Standing
from core.routing.standing import FRESH
from services.models.line import Line, TurnedAway


class Lane:
    """One deployment's state in this process. It outlives the catalog's reloads."""

    def __init__(self, deployment: Deployment, clock: Clock, policy: ResiliencePolicy) -> None:
        self._clock = clock
        self._policy = policy
        self.name = deployment.name
        self.limits = deployment.limits
        self.breaker = Breaker()
        self.load = Load()
        self.outstanding = 0
        self._line = Line(self.name, deployment.limits, clock.monotonic, self._usual_wait)

    def limit(self, limits: Limits) -> None:
        """Keep these limits from now on, which a reload may have changed."""
        self.limits = limits
        self._line.of(limits)

    def adopt(self, policy: ResiliencePolicy) -> None:
        """Go by this policy from now on."""
        self._policy = policy

    def standing(self) -> Standing:
        """How it does, as it is shown."""
        return replace(self.bearing(), slow_first_token=self.load.percentile(0.95))

    def bearing(self) -> Standing:
        """How it does, as far as routing decides by it: without what costs most to reckon."""
        return Standing(
            self.outstanding + self._line.length,
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
        if not self._line.went(tenant, tokens, now):
            await self._line.wait(tenant, tokens, patience)
            now = self._clock.monotonic()
        rest = rest_of(self.breaker, self._policy.breaker, now)
        if rest is not None and not last_resort:
            self._line.give_back(tenant, tokens)
            raise TurnedAway(self.name, rest.again_in, "resting")
        self.outstanding += 1
        self.breaker, permit = begin(self.breaker, self._policy.breaker, now)
        return Passage(self, tenant, tokens, permit, now)

    def left(self, passage: Passage, verdict: Verdict, used: int) -> None:
        """See Passage.leave."""
        self.outstanding -= 1
        now = self._clock.monotonic()
        self.breaker = end(self.breaker, self._policy.breaker, passage.permit, verdict, now)
        self._line.leave(passage.tenant, passage.tokens, used)

    def _usual_wait(self) -> Seconds:
        return Seconds(max(1.0, self.load.first_token or 0.0))


@dataclass(slots=True)
class Passage:
    """One call's way through a lane, until `leave`, which must be called once."""

    lane: Lane
    tenant: TenantId
    tokens: int
    permit: Permit
    entered: Seconds
    heard: bool = False
    first: Seconds | None = None

    def first_piece(self, now: Seconds) -> None:
        """The first piece of the answer came."""
        if not self.heard:
            self.heard = True
            self.first = Seconds(now - self.entered)
            self.lane.load = self.lane.load.heard(Seconds(now - self.entered))

    def overtaken(self, now: Seconds) -> None:
        """It had said nothing when another was heard: it would have taken longer than this."""
        if not self.heard:
            self.lane.load = self.lane.load.heard(Seconds(now - self.entered))

    def leave(self, verdict: Verdict | None, used: int) -> None:
        """It is over. None: it was given up; what was heard shows that the deployment is up."""
        given_up = ANSWERED if self.heard else GIVEN_UP
        self.lane.left(self, verdict or given_up, used)


class Lanes:
    """Every deployment's lane, and what may be spent on extra calls.

    `calls` are requests that were sent on their way and have not been counted yet. Whoever sends
    one adds it.
    """

    def __init__(
        self,
        clock: Clock,
        policy: ResiliencePolicy = PLAIN,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.clock = clock
        self.policy = policy
        self.draw = draw
        self.calls = 0
        self._lanes: dict[DeploymentName, Lane] = {}
        self._retries = Allowance()
        self._hedges = Allowance(share=policy.hedge.share)

    def of(self, deployment: Deployment) -> Lane:
        """This deployment's lane."""
        lane = self._lanes.get(deployment.name)
        if lane is None:
            lane = self._lanes[deployment.name] = Lane(deployment, self.clock, self.policy)
        elif lane.limits is not deployment.limits:
            lane.limit(deployment.limits)
        return lane

    def adopt(self, policy: ResiliencePolicy, known: AbstractSet[DeploymentName]) -> None:
        """Go by this policy from now on; what was learned of deployments that are known stays."""
        self._count_calls()
        self.policy = policy
        self._hedges = replace(self._hedges, share=policy.hedge.share)
        self._lanes = {name: lane for name, lane in self._lanes.items() if name in known}
        for lane in self._lanes.values():
            lane.adopt(policy)

    def standing(self, name: DeploymentName) -> Standing:
        """How this deployment does, as it is shown."""
        lane = self._lanes.get(name)
        return FRESH if lane is None else lane.standing()

    def bearing(self, name: DeploymentName) -> Standing:
        """How it does, as far as routing decides by it."""
        lane = self._lanes.get(name)
        return FRESH if lane is None else lane.bearing()

    def rests(self, name: DeploymentName) -> bool:
        """Whether something may speak against a call of this deployment."""
        lane = self._lanes.get(name)
        return lane is not None and lane.breaker.phase is not Phase.CLOSED

    def may_retry(self) -> bool:
        """Take one retry from what is allowed."""
        self._count_calls()
        spent = self._retries.spend(self.clock.monotonic())
        self._retries = spent or self._retries
        return spent is not None

    def may_hedge(self) -> bool:
        """Take one hedge from what is allowed."""
        self._count_calls()
        spent = self._hedges.spend(self.clock.monotonic())
        self._hedges = spent or self._hedges
        return spent is not None

    def _count_calls(self) -> None:
        """Let the requests since the last time allow for some extra calls."""
        now, calls, self.calls = self.clock.monotonic(), self.calls, 0
        self._retries = self._retries.called(now, calls)
        self._hedges = self._hedges.called(now, calls)
