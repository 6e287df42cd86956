"""Which deployments may serve a request, in which order, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from core.catalog import Catalog, Deployment, FallbackCause, Strategy, Tier
from core.identifiers import DeploymentName, Seconds
from core.routing.asked import Asked, asked_for
from core.routing.obstacles import (
    Obstacle,
    cost_obstacles,
    expected_cost,
    fit_obstacles,
    max_cost,
    tier_obstacles,
)
from core.routing.ranking import Candidate, ranked
from core.routing.request import RoutingPolicy, RoutingRequest, TaskClass
from core.routing.standing import FRESH, Standing, Standings

_LAST_RESORT = "the others rest too"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A deployment that may not, with the first obstacle and its particulars.

    `again_in` is set for one that rests.
    """

    deployment: DeploymentName
    obstacle: Obstacle
    detail: str
    again_in: Seconds | None = None


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
    asked = asked_for(catalog, request, policy)
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    for deployment in catalog.deployments.values():
        standing = known.get(deployment.name, FRESH)
        obstacle = next(_obstacles(deployment, request, policy, asked, standing), None)
        if obstacle is None:
            candidates.append(_candidate(deployment, request, standing))
        else:
            rest = standing.rest if obstacle[0] is Obstacle.RESTING else None
            again_in = rest.again_in if rest else None
            rejected.append(Rejection(deployment.name, *obstacle, again_in))
    all_rest = not candidates
    if all_rest:
        candidates, rejected = _last_resort(catalog, request, known, rejected)
    return RoutingDecision(
        ranked(candidates, asked, request, draw),
        tuple(sorted(rejected, key=lambda r: r.deployment)),
        asked.strategy,
        _fallbacks(catalog, request, policy, known, asked),
        all_rest and bool(candidates),
    )


def _candidate(deployment: Deployment, request: RoutingRequest, standing: Standing) -> Candidate:
    return Candidate(
        deployment,
        max_cost(deployment, request),
        expected_cost(deployment, request),
        standing,
    )


def _obstacles(
    deployment: Deployment,
    request: RoutingRequest,
    policy: RoutingPolicy,
    asked: Asked,
    standing: Standing,
) -> Iterator[tuple[Obstacle, str]]:
    """All that stands against a deployment, the most telling first, its health last."""
    quotes = deployment.tier is Tier.EXTRACTIVE
    falls_back = quotes and request.task is TaskClass.GROUNDED_ANSWER and not asked.named
    if asked.order is not None and deployment.name not in asked.order and not falls_back:
        yield asked.obstacle, asked.detail
    yield from tier_obstacles(deployment, request, policy, named=asked.named)
    yield from fit_obstacles(deployment, request)
    yield from cost_obstacles(deployment, request, policy)
    if standing.rest is not None:
        yield Obstacle.RESTING, f"{standing.rest.cause}, again in {standing.rest.again_in:.1f} s"


def _last_resort(
    catalog: Catalog,
    request: RoutingRequest,
    known: Standings,
    rejected: list[Rejection],
) -> tuple[list[Candidate], list[Rejection]]:
    """Where everyone that suits rests, those that may be asked all the same are."""
    candidates, kept = [], []
    for rejection in rejected:
        standing = known.get(rejection.deployment, FRESH)
        resting = rejection.obstacle is Obstacle.RESTING and standing.rest is not None
        if resting and standing.rest is not None and not standing.rest.must:
            deployment = catalog.deployments[rejection.deployment]
            candidate = _candidate(deployment, request, standing)
            candidates.append(replace(candidate, notes=(_LAST_RESORT,)))
        else:
            kept.append(rejection)
    return candidates, kept


def _fallbacks(
    catalog: Catalog,
    request: RoutingRequest,
    policy: RoutingPolicy,
    known: Standings,
    asked: Asked,
) -> Mapping[FallbackCause, tuple[Candidate, ...]]:
    """The route's chains, with whoever does not suit left out."""
    if asked.route is None:
        return {}
    return {
        cause: tuple(
            _candidate(deployment, request, known.get(name, FRESH))
            for name in chain
            if (deployment := catalog.deployments.get(name)) is not None
            and not any(
                _obstacles(
                    deployment,
                    request,
                    policy,
                    replace(asked, order=chain),
                    known.get(name, FRESH),
                )
            )
        )
        for cause, chain in asked.route.fallbacks.items()
    }
