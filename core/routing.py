"""Which deployments may serve a request, in which order, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from core.catalog import Capability, Catalog, Deployment, Tier
from core.errors import NotFound
from core.generation import Constraints, GenerationOptions, ToolChoice
from core.identifiers import DeploymentName
from core.messages import ImagePart, Message

_MILLION = Decimal(1_000_000)


class TaskClass(Enum):
    """What kind of work a request is. Routing may have a route for each."""

    CHAT = "chat"
    GROUNDED_ANSWER = "grounded_answer"
    SUMMARISATION = "summarisation"
    CLASSIFICATION = "classification"
    EXTRACTION = "extraction"
    TOOL_USE = "tool_use"
    EMBEDDING = "embedding"


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
    OTHER_LANGUAGE = "other_language"
    TOO_EXPENSIVE = "too_expensive"
    PRICE_UNKNOWN = "price_unknown"


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """The operator's choices. `routes` names the route of a task class; none means the catalog.

    A grounded answer is written by a deployment of `grounded_tier` at least; where none is,
    the extractive deployment quotes it. `accept_unknown_price` lets a deployment without
    prices serve a request with a cost limit.
    """

    routes: Mapping[TaskClass, str] = field(default_factory=dict)
    grounded_tier: Tier = Tier.SMALL
    accept_unknown_price: bool = False


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """What is to be served.

    `model` is a deployment's, a model's or a route's name; "" leaves the choice to the policy.
    `prompt_tokens` is an upper bound of what can't be dropped from the prompt, `output_tokens`
    what the caller wants at most (None: what the deployment has). `language` is the text's
    BCP-47 tag, "" if unknown. `only_quotes` asks for an extractive deployment.
    """

    task: TaskClass
    model: str = ""
    constraints: Constraints = field(default_factory=Constraints)
    capabilities: frozenset[Capability] = frozenset()
    prompt_tokens: int = 0
    output_tokens: int | None = None
    language: str = ""
    minimum_tier: Tier | None = None
    only_quotes: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that may serve. `max_cost` is for the bounds of tokens; None is unknown."""

    deployment: Deployment
    max_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A deployment that may not, with the first obstacle and its particulars."""

    deployment: DeploymentName
    obstacle: Obstacle
    detail: str


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Every deployment of the catalog, once: accepted, best first, or rejected."""

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]

    def explanation(self) -> str:
        """The decision in a line, for a log or an error."""
        accepted = ", ".join(candidate.deployment.name for candidate in self.candidates) or "none"
        refused = "; ".join(
            f"{r.deployment}: {r.obstacle.value} ({r.detail})" for r in self.rejected
        )
        return f"candidates: {accepted}" + (f"; rejected: {refused}" if refused else "")


def route(catalog: Catalog, request: RoutingRequest, policy: RoutingPolicy) -> RoutingDecision:
    """Rank the catalog's deployments for a request.

    A named deployment or model is taken at its word, also below the policy's tier for grounded
    answers (what it writes is checked by its tier); a route's candidates come in its order;
    else the higher tier comes first, then the cheaper. For a grounded answer the extractive
    deployments come last. Raises NotFound for a `model` that names nothing.
    """
    asked = _asked_for(catalog, request, policy)
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    for deployment in catalog.deployments.values():
        obstacle = next(_obstacles(deployment, request, policy, asked), None)
        if obstacle is None:
            candidates.append(Candidate(deployment, max_cost(deployment, request)))
        else:
            rejected.append(Rejection(deployment.name, *obstacle))
    ranked = sorted(candidates, key=asked.rank)
    return RoutingDecision(tuple(ranked), tuple(sorted(rejected, key=lambda r: r.deployment)))


def max_cost(deployment: Deployment, request: RoutingRequest) -> Decimal | None:
    """The most that the request can cost there, in the currency of its prices."""
    prices = deployment.prices
    if prices.input is None or prices.output is None:
        return None
    output = _output_bound(deployment, request)
    return (prices.input * request.prompt_tokens + prices.output * output) / _MILLION


def needed_capabilities(
    options: GenerationOptions, messages: Sequence[Message], *, tools: bool = False
) -> frozenset[Capability]:
    """What a deployment must be able to do for these options and messages."""
    images = any(isinstance(part, ImagePart) for message in messages for part in message.parts)
    needs = {
        Capability.SEED: options.seed is not None,
        Capability.STOP: bool(options.stop),
        Capability.JSON_SCHEMA: bool(options.response_schema),
        Capability.TOOLS: tools
        or bool(options.tools)
        or options.tool_choice in (ToolChoice.REQUIRED, ToolChoice.ONE),
        Capability.IMAGES: images,
        Capability.LOGPROBS: options.logprobs is not None,
        Capability.REASONING: options.reasoning_effort is not None,
    }
    return frozenset(capability for capability, needed in needs.items() if needed)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which deployments the request is about. `order` is None where all are, `named` exactly."""

    order: tuple[DeploymentName, ...] | None
    named: bool
    obstacle: Obstacle = Obstacle.NOT_ASKED_FOR
    detail: str = ""

    def rank(self, candidate: Candidate) -> tuple[bool, int, int, bool, Decimal, str]:
        """Quoting last; then the order asked for; then tier, known and low cost, name."""
        deployment = candidate.deployment
        listed = self.order is not None and not self.named and deployment.name in self.order
        place = self.order.index(deployment.name) if self.order and listed else 0
        return (
            deployment.tier is Tier.EXTRACTIVE,
            place,
            -deployment.tier,
            candidate.max_cost is None,
            candidate.max_cost or Decimal(0),
            deployment.name,
        )


def _asked_for(catalog: Catalog, request: RoutingRequest, policy: RoutingPolicy) -> _Asked:
    model = request.model
    if not model:
        name = policy.routes.get(request.task, "")
        return _on_route(catalog, name) if name else _Asked(None, named=False)
    if model in catalog.deployments:
        detail = f"{model!r} was asked for"
        return _Asked((DeploymentName(model),), named=True, detail=detail)
    if model in catalog.routes:
        return _on_route(catalog, model)
    of_model = tuple(d.name for d in catalog.deployments.values() if d.model == model)
    if not of_model:
        raise NotFound("model", model)
    return _Asked(of_model, named=True, detail=f"model {model!r} was asked for")


def _on_route(catalog: Catalog, name: str) -> _Asked:
    if name not in catalog.routes:
        raise NotFound("route", name)
    detail = f"route {name!r} was taken"
    order = catalog.routes[name].candidates
    return _Asked(order, named=False, obstacle=Obstacle.NOT_ON_ROUTE, detail=detail)


def _obstacles(
    deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy, asked: _Asked
) -> Iterator[tuple[Obstacle, str]]:
    """All that stands against a deployment, the most telling first."""
    quotes = deployment.tier is Tier.EXTRACTIVE
    falls_back = quotes and request.task is TaskClass.GROUNDED_ANSWER and not asked.named
    if asked.order is not None and deployment.name not in asked.order and not falls_back:
        yield asked.obstacle, asked.detail
    yield from _tier_obstacles(deployment, request, policy, asked)
    yield from _fit_obstacles(deployment, request)
    yield from _cost_obstacles(deployment, request, policy)


def _tier_obstacles(
    deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy, asked: _Asked
) -> Iterator[tuple[Obstacle, str]]:
    tier, wanted = deployment.tier, request.constraints.tier
    if wanted is not None and tier < wanted:
        yield Obstacle.TIER_TOO_LOW, f"{tier.name} is below {wanted.name}, which was asked for"
    quotes = tier is Tier.EXTRACTIVE
    if request.only_quotes and not quotes:
        yield Obstacle.TIER_TOO_LOW, "only an extractive deployment was asked for"
    if asked.named:
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


def _fit_obstacles(
    deployment: Deployment, request: RoutingRequest
) -> Iterator[tuple[Obstacle, str]]:
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


def _cost_obstacles(
    deployment: Deployment, request: RoutingRequest, policy: RoutingPolicy
) -> Iterator[tuple[Obstacle, str]]:
    limit = request.constraints.max_cost
    if limit is None:
        return
    cost = max_cost(deployment, request)
    if cost is None and not policy.accept_unknown_price:
        yield Obstacle.PRICE_UNKNOWN, "a cost limit needs a known price"
    if cost is not None and cost > limit:
        yield Obstacle.TOO_EXPENSIVE, f"up to {cost} {deployment.prices.currency}, limit {limit}"


def _output_bound(deployment: Deployment, request: RoutingRequest) -> int:
    if request.output_tokens is None:
        return deployment.max_output_tokens
    return min(request.output_tokens, deployment.max_output_tokens)
