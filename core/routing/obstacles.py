"""What stands against a deployment that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import Enum

from core.catalog import Capability, Deployment, Tier
from core.prices import most_cost
from core.routing.request import RoutingPolicy, RoutingRequest, TaskClass


class Obstacle(Enum):
    """Why a deployment is no candidate."""

    NOT_ASKED_FOR = "not_asked_for"
    NOT_ON_ROUTE = "not_on_route"
    TIER_TOO_LOW = "tier_too_low"
    ONLY_QUOTES = "only_quotes"
    LACKS_CAPABILITY = "lacks_capability"
    WINDOW_TOO_SMALL = "window_too_small"
    OUTPUT_TOO_LONG = "output_too_long"
    OTHER_RESIDENCY = "other_residency"
    LACKS_LABEL = "lacks_label"
    OTHER_LANGUAGE = "other_language"
    TOO_EXPENSIVE = "too_expensive"
    PRICE_UNKNOWN = "price_unknown"
    RESTING = "resting"


Found = Iterator[tuple[Obstacle, str]]


def tier_obstacles(
    deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy, *, named: bool
) -> Found:
    """Who asks for a deployment or model by name takes it at its word, whatever its tier."""
    tier, wanted = deployment.tier, request.constraints.tier
    if wanted is not None and tier < wanted:
        yield Obstacle.TIER_TOO_LOW, f"{tier.name} is below {wanted.name}, which was asked for"
    quotes = tier is Tier.EXTRACTIVE
    if request.only_quotes and not quotes:
        yield Obstacle.TIER_TOO_LOW, "only an extractive deployment was asked for"
    if named:
        return
    if quotes and request.task is not TaskClass.GROUNDED_ANSWER and not request.only_quotes:
        yield Obstacle.ONLY_QUOTES, f"it can't do {request.task.value}"
    least = _least_tier(request, policy)
    if tier < least and not quotes:
        yield Obstacle.TIER_TOO_LOW, f"{tier.name} is below {least.name}, the least for this task"


def _least_tier(request: RoutingRequest, policy: RoutingPolicy) -> Tier:
    if request.minimum_tier is not None:
        return request.minimum_tier
    grounded = request.task is TaskClass.GROUNDED_ANSWER
    return policy.grounded_tier if grounded else Tier.EXTRACTIVE


def fit_obstacles(deployment: Deployment, request: RoutingRequest) -> Found:
    """What it can't do, can't hold, or may not see."""
    if missing := _needed(request) - deployment.capabilities:
        yield Obstacle.LACKS_CAPABILITY, ", ".join(sorted(c.value for c in missing))
    room = deployment.context_window
    if request.prompt_tokens >= room:
        yield Obstacle.WINDOW_TOO_SMALL, f"{request.prompt_tokens} tokens of prompt, window {room}"
    most = deployment.max_output_tokens
    if request.output_tokens is not None and request.output_tokens > most:
        yield Obstacle.OUTPUT_TOO_LONG, f"{request.output_tokens} tokens of answer, at most {most}"
    residency = request.constraints.residency
    if residency and deployment.residency != residency:
        yield Obstacle.OTHER_RESIDENCY, f"{deployment.residency or 'unknown'}, not {residency}"
    if lacking := request.constraints.labels - deployment.labels:
        yield Obstacle.LACKS_LABEL, ", ".join(sorted(lacking))
    if not _speaks(deployment.languages, request.language):
        yield Obstacle.OTHER_LANGUAGE, f"{request.language} is none of its languages"


def _needed(request: RoutingRequest) -> frozenset[Capability]:
    embeds = request.task is TaskClass.EMBEDDING
    return request.capabilities | ({Capability.EMBEDDINGS} if embeds else frozenset())


def _speaks(languages: Iterable[str], language: str) -> bool:
    known = {_primary(each) for each in languages}
    return not known or not language or _primary(language) in known


def _primary(language: str) -> str:
    return language.lower().split("-")[0]


def cost_obstacles(deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy) -> Found:
    """A cost limit is kept by known prices only, unless the operator says otherwise."""
    limit = request.constraints.max_cost
    if limit is None:
        return
    cost = max_cost(deployment, request)
    if cost is None and not policy.accept_unknown_price:
        yield Obstacle.PRICE_UNKNOWN, "a cost limit needs a known price"
    if cost is not None and cost > limit:
        yield Obstacle.TOO_EXPENSIVE, f"up to {cost} {deployment.prices.currency}, limit {limit}"


def max_cost(deployment: Deployment, request: RoutingRequest) -> Decimal | None:
    """The most that the request can cost there, in the currency of its prices."""
    return most_cost(request.prompt_tokens, _output_bound(deployment, request), deployment.prices)


def expected_cost(deployment: Deployment, request: RoutingRequest) -> Decimal | None:
    """What ranks it: the same with the prompt that is expected."""
    prompt = max(request.prompt_tokens, request.expected_prompt)
    return most_cost(prompt, _output_bound(deployment, request), deployment.prices)


def _output_bound(deployment: Deployment, request: RoutingRequest) -> int:
    if request.output_tokens is None:
        return deployment.max_output_tokens
    return min(request.output_tokens, deployment.max_output_tokens)
