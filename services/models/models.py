"""The use cases behind ModelService: generation without chat, vectors, counts, the catalog."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.call import Call
from core.canonical import digest
from core.catalog import Deployment, Route
from core.checking import QUIET
from core.clock import NewId
from core.embedding import EmbeddingModel
from core.errors import (
    FeatureUnsupported,
    FieldViolation,
    InvalidInput,
    NotFound,
    RequestIdReused,
)
from core.generation import Constraints, GenerationOptions
from core.identifiers import DeploymentName, RequestId, TurnId
from core.messages import Message, Role
from core.option_tokens import option_tokens
from core.ports.embedder import TextKind
from core.ports.language_model import LanguageModel
from core.ports.model_gateway import (
    UNCACHED,
    CachePolicy,
    GatewayEvent,
    GatewayEvents,
    GenerationOrder,
    ModelGateway,
    SpendingUnit,
)
from core.ports.state import State
from core.ports.token_bounds import BoundingModel, TokenBounds, TokenCounting
from core.prompting.parts import PromptPart, Provenance, SourceKind, Trust
from core.routing import (
    RoutingDecision,
    RoutingRequest,
    Standing,
    TaskClass,
    needed_capabilities,
    route,
)
from core.tool_rules import tool_violations
from core.turns.rows import IdempotencyKey, IdempotencyRecord
from services.embedders import Embedders
from services.models.deployments import Deployments
from services.models.embedding import EmbeddedTexts, Embedding
from services.models.lanes import Lanes
from services.models.wanted import to_rank, wanted

_GENERATE = "generate"
_PLAIN = GenerationOptions()
_SOURCES = {
    Role.SYSTEM: SourceKind.SYSTEM,
    Role.DEVELOPER: SourceKind.DEVELOPER,
    Role.TOOL: SourceKind.TOOL,
}


@checked(frozen=True, slots=True, config=QUIET)
class GenerateRequest:
    """A bare generation: the messages as they are, no history, no documents, no checks.

    `session` is what the request belongs to, such as a conversation of the caller's.
    """

    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=100)]
    request_id: Annotated[RequestId, Field(max_length=128)] = RequestId("")
    model: Annotated[str, Field(max_length=200)] = ""
    constraints: Constraints = field(default_factory=Constraints)
    options: GenerationOptions = field(default_factory=GenerationOptions)
    feature: Annotated[str, Field(max_length=200)] = ""
    task: TaskClass = TaskClass.CHAT
    session: Annotated[str, Field(max_length=200)] = ""
    cache: CachePolicy = UNCACHED
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens by one deployment's counter: the true count lies between `least` and `tokens`."""

    tokens: int
    deployment: Deployment
    least: int
    counting: TokenCounting


class Models:
    """What callers can do with models directly."""

    def __init__(
        self,
        state: State,
        gateway: ModelGateway,
        deployments: Callable[[], Deployments],
        embedders: Embedders,
        new_id: NewId,
        lanes: Lanes,
        embedding: Embedding,
    ) -> None:
        self._state = state
        self._gateway = gateway
        self._deployments = deployments
        self._embedders = embedders
        self._new_id = new_id
        self._lanes = lanes
        self._embedding = embedding

    def generate(
        self, call: Call, request: GenerateRequest, *, accepts_restart: bool = False
    ) -> GatewayEvents:
        """The completion as it is written. `accepts_restart`: nobody has seen the text so far.

        Raises InvalidInput, RequestIdReused for a repeat (the text is not kept), and what the
        gateway raises.
        """
        _check(request)
        unit = self._unit(call, request)
        order = _order(unit, call, request, accepts_restart=accepts_restart)
        if request.request_id:
            return self._generate_once(call, request, order)
        return self._gateway.generate(call, order)

    async def _generate_once(
        self, call: Call, request: GenerateRequest, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        await self._once(call, request, order.unit.id)
        call.facts.request_id = request.request_id
        async with aclosing(self._gateway.generate(call, order)) as events:
            async for event in events:
                yield event

    def explain(self, call: Call, request: GenerateRequest) -> RoutingDecision:
        """Who would be asked, in which order, and why not the others. Calls nobody.

        Raises InvalidInput, and NotFound for a model that names nothing.
        """
        _check(request)
        order = _order(self._unit(call, request), call, request)
        lanes, asked = self._lanes, to_rank(wanted(order), order)
        return self._deployments().decide(asked, lanes.standing, lanes.draw())

    def health(self, name: str) -> Standing:
        """How a deployment does at this moment. Raises NotFound."""
        deployment = self._deployments().deployment(DeploymentName(name))
        if deployment is None:
            raise NotFound("model", name)
        return self._lanes.of(deployment).standing()

    async def embed(
        self, call: Call, texts: Sequence[str], kind: TextKind, model: str, feature: str = ""
    ) -> EmbeddedTexts:
        """One vector a text, in order, what made them and what it cost. Raises NotFound."""
        return await self._embedding.embed(call, texts, kind, model, feature)

    async def count(
        self, messages: Sequence[Message], model: str, options: GenerationOptions = _PLAIN
    ) -> Counted:
        """How many tokens the messages take for the deployment that a request would get.

        What tools and a schema of the options add is part of it. Raises NotFound, and
        FeatureUnsupported where no deployment can do what they ask for.
        """
        deployments = self._deployments()
        needed = needed_capabilities(options, messages)
        wanted = RoutingRequest(TaskClass.CHAT, model, capabilities=needed)
        decision = route(deployments.catalog, wanted, deployments.policy)
        if not decision.candidates:
            raise FeatureUnsupported(
                f"no deployment counts for this: {decision.explanation()}", feature="count_tokens"
            )
        deployment = decision.candidates[0].deployment
        with deployments.in_use():
            bounds = await _bounds(deployments.models[deployment.name], messages)
        tokens = bounds.most + option_tokens(options)
        return Counted(tokens, deployment, bounds.least, bounds.counting)

    def deployments(self) -> Sequence[Deployment]:
        """Every language model of the catalog, by name."""
        catalog = self._deployments().catalog
        return [catalog.deployments[name] for name in sorted(catalog.deployments)]

    def embedders(self) -> Sequence[EmbeddingModel]:
        """Every embedder, by the name that requests give it."""
        return [
            EmbeddingModel(alias, e.name, e.dimensions, e.languages)
            for alias, e in sorted(self._embedders.by_alias.items())
        ]

    def routes(self) -> Sequence[Route]:
        """Every route, by name."""
        routes = self._deployments().catalog.routes
        return [routes[name] for name in sorted(routes)]

    def _unit(self, call: Call, request: GenerateRequest) -> SpendingUnit:
        principal = call.principal
        return SpendingUnit(self._new_id("gen"), principal.tenant, principal.user, request.feature)

    async def _once(self, call: Call, request: GenerateRequest, unit: str) -> None:
        """Take the request id, so that a repeat is noticed."""
        principal = call.principal
        key = IdempotencyKey(principal.tenant, principal.user, _GENERATE, request.request_id)
        async with self._state.transaction(key.tenant) as tx:
            if await tx.idempotency.find(key) is not None:
                raise RequestIdReused(
                    "this request_id was used for a generation before, whose text is not kept; "
                    "use a new one to generate again",
                    request_id=request.request_id,
                )
            tx.idempotency.insert(IdempotencyRecord(key, TurnId(unit), digest(request)))


def _order(
    unit: SpendingUnit, call: Call, request: GenerateRequest, *, accepts_restart: bool = False
) -> GenerationOrder:
    return GenerationOrder(
        unit=unit,
        parts=tuple(_part(message) for message in request.messages),
        question=request.messages[-1].text,
        deadline=call.deadline,
        task=request.task,
        model=request.model,
        constraints=request.constraints,
        options=request.options,
        key=request.session,
        accepts_restart=accepts_restart,
        explain=request.explain,
        cache=request.cache,
        whole=accepts_restart,
        fresh=True,
    )


async def _bounds(model: LanguageModel, messages: Sequence[Message]) -> TokenBounds:
    """A model that says no more than a bound may be far from it."""
    if isinstance(model, BoundingModel):
        return await model.count_bounds(messages)
    return TokenBounds(0, await model.count_tokens(messages), TokenCounting.BYTES)


def _check(request: GenerateRequest) -> None:
    violations = [
        FieldViolation(f"messages[{index}].role", "SYSTEM is only for the first")
        for index, message in enumerate(request.messages)
        if message.role is Role.SYSTEM and index > 0
    ]
    if request.messages[-1].role not in (Role.USER, Role.TOOL):
        violations.append(FieldViolation("messages", "the last must be of USER or TOOL"))
    violations += tool_violations(request.options, request.messages)
    if violations:
        raise InvalidInput(violations)


def _part(message: Message) -> PromptPart:
    source = Provenance(_SOURCES.get(message.role, SourceKind.USER))
    return PromptPart(message.role, message.parts, source, Trust.CALLER, alone=True)
