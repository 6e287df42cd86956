"""Which deployments may serve a request, in which order, and why not the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.catalog import Catalog, FallbackCause, Strategy
from core.identifiers import DeploymentName, Seconds
from core.routing.obstacles import Obstacle, expected_cost
from core.routing.plan import Rejection, RoutingPlan, Suitable, plan_of
from core.routing.ranking import Candidate, ranked
from core.routing.request import RoutingPolicy, RoutingRequest
from core.routing.standing import FRESH, Rest, Standing, Standings

_LAST_RESORT = "the others rest too"

Bearing = Callable[[DeploymentName], Standing]
"""How a deployment does at this moment."""


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Every deployment of the catalog, once: accepted, best first, or rejected.

    `fallbacks` are the route's own chains, as far as they suit: who is asked after a failure of
    that cause. `all_rest`: the candidates would be left alone, if there were any other.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    strategy: Strategy = Strategy.BEST_TIER
    fallbacks: Mapping[FallbackCause, tuple[Candidate, ...]] = field(default_factory=dict)
    all_rest: bool = False

    def explanation(self) -> str:
        """The decision in a line, for a log or an error."""
        accepted = ", ".join(candidate.deployment.name for candidate in self.candidates) or "none"
        refused = "; ".join(
            f"{r.deployment}: {r.obstacle.value} ({r.detail})" for r in self.rejected
        )
        return f"candidates: {accepted}" + (f"; rejected: {refused}" if refused else "")

    @property
    def again_in(self) -> Seconds | None:
        """When the first of those that rest may be asked again; None where none does."""
        return min((r.again_in for r in self.rejected if r.again_in is not None), default=None)


def route(
    catalog: Catalog,
    request: RoutingRequest,
    policy: RoutingPolicy,
    standings: Standings | None = None,
    draw: float = 0.0,
) -> RoutingDecision:
    """Rank the catalog's deployments for a request.

    A named deployment or model is taken at its word, also below the policy's tier for grounded
    answers (what it writes is checked by its tier); a route's candidates come in its order;
    else the higher tier comes first, then the cheaper, but for simple tasks the cheapest that
    is good enough. For a grounded answer the extractive deployments come last. `draw` is
    uniform in [0, 1), for strategies that draw lots. Raises NotFound for a `model` that names
    nothing.
    """
    known = standings or {}
    plan = plan_of(catalog, request, policy)
    return decide(plan, request, lambda name: known.get(name, FRESH), draw)


def sole_choice(plan: RoutingPlan) -> RoutingDecision | None:
    """The decision of a plan that leaves one to ask, for as long as that one does not rest.

    It is the same for all requests of the plan's shape, since nothing is ranked: how the one does
    and what it may be expected to cost is not in it. None where there is a choice.
    """
    if len(plan.suitable) != 1 or plan.fallbacks:
        return None
    only = plan.suitable[0]
    candidate = Candidate(only.deployment, only.max_cost)
    return RoutingDecision((candidate,), plan.rejected, plan.asked.strategy)


def decide(
    plan: RoutingPlan, request: RoutingRequest, bearing: Bearing, draw: float = 0.0
) -> RoutingDecision:
    """`route` for a request whose plan is known: who rests is set apart, the others are ranked."""
    candidates: list[Candidate] = []
    resting: list[tuple[Suitable, Standing, Rest]] = []
    for suitable in plan.suitable:
        standing = bearing(suitable.deployment.name)
        if standing.rest is None:
            candidates.append(_candidate(suitable, request, standing))
        else:
            resting.append((suitable, standing, standing.rest))
    all_rest = bool(resting) and not candidates
    if all_rest:  # those that may be asked all the same are
        candidates = [_last_resort(*each, request) for each in resting if not each[2].must]
        resting = [each for each in resting if each[2].must]
    return RoutingDecision(
        ranked(candidates, plan.asked, request, draw),
        _with(plan.rejected, resting) if resting else plan.rejected,
        plan.asked.strategy,
        _fallbacks(plan, request, bearing) if plan.fallbacks else {},
        all_rest and bool(candidates),
    )


def _candidate(suitable: Suitable, request: RoutingRequest, standing: Standing) -> Candidate:
    deployment = suitable.deployment
    return Candidate(deployment, suitable.max_cost, expected_cost(deployment, request), standing)


def _last_resort(
    suitable: Suitable, standing: Standing, _: Rest, request: RoutingRequest
) -> Candidate:
    return replace(_candidate(suitable, request, standing), notes=(_LAST_RESORT,))


def _with(
    rejected: Sequence[Rejection], resting: Sequence[tuple[Suitable, Standing, Rest]]
) -> tuple[Rejection, ...]:
    """All that are rejected, by name, with those that rest among them."""
    more = [
        Rejection(
            suitable.deployment.name,
            Obstacle.RESTING,
            f"{rest.cause}, again in {rest.again_in:.1f} s",
            rest.again_in,
        )
        for suitable, _, rest in resting
    ]
    return tuple(sorted((*rejected, *more), key=lambda r: r.deployment))


def _fallbacks(
    plan: RoutingPlan, request: RoutingRequest, bearing: Bearing
) -> Mapping[FallbackCause, tuple[Candidate, ...]]:
    """The plan's chains, with whoever rests left out."""
    return {
        cause: tuple(
            _candidate(suitable, request, standing)
            for suitable in chain
            if (standing := bearing(suitable.deployment.name)).rest is None
        )
        for cause, chain in plan.fallbacks.items()
    }
