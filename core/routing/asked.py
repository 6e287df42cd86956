"""Which deployments a request is about: one, a model's, a route's, or all."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalog import Catalog, Route, Strategy, Tier
from core.errors import NotFound
from core.identifiers import DeploymentName
from core.routing.obstacles import Obstacle
from core.routing.request import SIMPLE, RoutingPolicy, RoutingRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """The deployments that were asked for, and how they are to be ordered.

    `order` is None where all are; `named`: exactly these, at their word. `least` is the tier
    below which a deployment comes last.
    """

    order: tuple[DeploymentName, ...] | None
    strategy: Strategy
    named: bool = False
    obstacle: Obstacle = Obstacle.NOT_ASKED_FOR
    detail: str = ""
    least: Tier = Tier.EXTRACTIVE
    route: Route | None = None


def asked_for(catalog: Catalog, request: RoutingRequest, policy: RoutingPolicy) -> Asked:
    """What the request's `model` and task stand for. Raises NotFound for what names nothing."""
    model = request.model
    if not model:
        name = policy.routes.get(request.task, "")
        if name:
            return _on_route(catalog, name)
        least = policy.simple_tier if request.task in SIMPLE else Tier.EXTRACTIVE
        return Asked(None, policy.strategy(request.task), least=least)
    if model in catalog.deployments:
        detail = f"{model!r} was asked for"
        return Asked((DeploymentName(model),), Strategy.BEST_TIER, named=True, detail=detail)
    if model in catalog.routes:
        return _on_route(catalog, model)
    of_model = tuple(d.name for d in catalog.deployments.values() if d.model == model)
    if not of_model:
        raise NotFound("model", model)
    detail = f"model {model!r} was asked for"
    return Asked(of_model, Strategy.BEST_TIER, named=True, detail=detail)


def _on_route(catalog: Catalog, name: str) -> Asked:
    if name not in catalog.routes:
        raise NotFound("route", name)
    found = catalog.routes[name]
    return Asked(
        found.candidates,
        found.strategy,
        obstacle=Obstacle.NOT_ON_ROUTE,
        detail=f"route {name!r} was taken",
        route=found,
    )
