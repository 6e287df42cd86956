"""Whichever deployment suits and answers: routed, fitted, recorded, called, in that order."""

from __future__ import annotations

from collections.abc import Callable

from core.call import Call
from core.clock import Clock
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import GatewayEvents, GenerationOrder
from core.routing import RoutingDecision
from core.routing.course import Course
from core.routing.decision import decide
from services.models.attempts import Attempts
from services.models.boarding import Boarding
from services.models.deployments import Deployments
from services.models.generation import Crew, Generation
from services.models.hearing import Listener
from services.models.journey import Journey, unreachable
from services.models.lanes import Lanes
from services.models.spending import NO_BUDGETS, Budgets
from services.models.wanted import Affinity, to_rank, wanted
from services.turns.tick import Tick


class Gateway:
    """The ModelGateway of a process that hosts its own deployments.

    `lanes` are the process's memory of how each deployment does; without, candidates are asked
    in order, each once. `turns_tick` is that of the turns of this process, if it runs any.
    """

    def __init__(
        self,
        deployments: Callable[[], Deployments],
        attempts: Attempts,
        clock: Clock,
        lanes: Lanes | None = None,
        budgets: Budgets = NO_BUDGETS,
        observer: GatewayObserver = QUIET_GATEWAY,
        turns_tick: Tick | None = None,
    ) -> None:
        self._deployments = deployments
        self._clock = clock
        self._lanes = lanes = lanes or Lanes(clock)
        self._affinity = Affinity(lambda: lanes.policy.affinity)
        self._crew = Crew(
            clock,
            lanes,
            Boarding(attempts, lanes, budgets),
            Listener(attempts, lanes, budgets, clock, observer, turns_tick),
            self._affinity,
        )

    def generate(self, call: Call, order: GenerationOrder) -> GatewayEvents:
        """As the port says: candidates in order, until one answers or has begun to."""
        return Generation(self._crew, lambda: self._set_out(call, order))

    def _set_out(self, call: Call, order: GenerationOrder) -> Journey:
        deployments = self._deployments()
        decision = self._decide(deployments, order)
        if not decision.candidates:
            raise unreachable(decision)
        self._lanes.calls += 1
        course = Course(decision)
        return Journey(call, order, deployments, decision, course, order.begun, order.fresh)

    def _decide(self, deployments: Deployments, order: GenerationOrder) -> RoutingDecision:
        """Who is to be asked. Where there is no choice, nobody is ranked."""
        lanes, request = self._lanes, wanted(order)
        planned = deployments.planned(request)
        sole = None if order.explain else planned.sole
        if sole is not None and not lanes.rests(sole.candidates[0].deployment.name):
            return sole
        request = to_rank(request, order, self._affinity.holder(order, self._clock.monotonic()))
        bearing = lanes.standing if order.explain else lanes.bearing
        return decide(planned.plan, request, bearing, lanes.draw())
