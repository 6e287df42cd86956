"""What of a routing decision lasts: who suits requests of one shape, whatever goes on just now."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.catalog import Catalog, Deployment, FallbackCause, Tier
from core.identifiers import DeploymentName, Seconds
from core.routing.asked import Asked, asked_for
from core.routing.obstacles import (
    Obstacle,
    cost_obstacles,
    fit_obstacles,
    max_cost,
    tier_obstacles,
)
from core.routing.request import RoutingPolicy, RoutingRequest, TaskClass


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
class Suitable:
    """A deployment that nothing lasting stands against. `max_cost` is as a Candidate's."""

    deployment: Deployment
    max_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """Every deployment of the catalog, once: suitable, or rejected for good. Both by name.

    `fallbacks` are the route's own chains, as far as they suit.
    """

    asked: Asked
    suitable: tuple[Suitable, ...]
    rejected: tuple[Rejection, ...]
    fallbacks: Mapping[FallbackCause, tuple[Suitable, ...]]


def shape_of(request: RoutingRequest) -> Hashable:
    """All of a request that its plan depends on: equal shapes have equal plans.

    What is left out (the expected prompt, the key, who holds the prompt) only ranks.
    """
    return (
        request.task,
        request.model,
        request.constraints,
        request.capabilities,
        request.prompt_tokens,
        request.output_tokens,
        request.language,
        request.minimum_tier,
        request.only_quotes,
    )


def plan_of(catalog: Catalog, request: RoutingRequest, policy: RoutingPolicy) -> RoutingPlan:
    """The plan for requests of this shape. Raises NotFound for a `model` that names nothing."""
    asked = asked_for(catalog, request, policy)
    suitable: list[Suitable] = []
    rejected: list[Rejection] = []
    for name in sorted(catalog.deployments):
        deployment = catalog.deployments[name]
        obstacle = next(_obstacles(deployment, request, policy, asked), None)
        if obstacle is None:
            suitable.append(Suitable(deployment, max_cost(deployment, request)))
        else:
            rejected.append(Rejection(name, *obstacle))
    chains = asked.route.fallbacks if asked.route else {}
    return RoutingPlan(
        asked,
        tuple(suitable),
        tuple(rejected),
        {
            cause: tuple(_chain(catalog, request, policy, replace(asked, order=chain), chain))
            for cause, chain in chains.items()
        },
    )


def _chain(
    catalog: Catalog,
    request: RoutingRequest,
    policy: RoutingPolicy,
    asked: Asked,
    chain: Sequence[DeploymentName],
) -> Iterator[Suitable]:
    """A route's chain, with whoever does not suit left out."""
    for name in chain:
        deployment = catalog.deployments.get(name)
        if deployment is not None and not any(_obstacles(deployment, request, policy, asked)):
            yield Suitable(deployment, max_cost(deployment, request))


def _obstacles(
    deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy, asked: Asked
) -> Iterator[tuple[Obstacle, str]]:
    """All that lastingly stands against a deployment, the most telling first."""
    quotes = deployment.tier is Tier.EXTRACTIVE
    falls_back = quotes and request.task is TaskClass.GROUNDED_ANSWER and not asked.named
    if asked.order is not None and deployment.name not in asked.order and not falls_back:
        yield asked.obstacle, asked.detail
    yield from tier_obstacles(deployment, request, policy, named=asked.named)
    yield from fit_obstacles(deployment, request)
    yield from cost_obstacles(deployment, request, policy)
