"""A gateway made of the real parts, on the fake state and scripted models.

    node = gateway_node(a_model(script("a")), resilience=ResiliencePolicy(...))
    heard = await node.hear()
    assert heard.text == "a"

Time is the loop's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from core.budgets.rules import BudgetRule
from core.call import Call
from core.catalog import Catalog, Route
from core.clock import Clock
from core.errors import ColonnadeError
from core.generation import RefusalDelta, TextDelta
from core.identifiers import ApiKeyId, CallId, DeploymentName, Seconds, TenantId
from core.messages import Role
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    GatewayEvents,
    GenerationOrder,
    ModelGateway,
    Restarted,
    Selected,
    SpendingUnit,
    Switched,
)
from core.principal import Principal
from core.prompting.parts import PromptPart, Provenance, SourceKind, Trust
from core.resilience.policy import PLAIN, ResiliencePolicy
from core.routing import RoutingPolicy
from core.turns.rows import Attempt, LedgerLine
from fakes.budgets import BudgetProcess, a_process, spent
from fakes.language_model import ScriptedModel
from fakes.state import FakeState
from fakes.turn_node import ACME, ANN, loop_clock, loop_now
from services.models.attempts import Attempts
from services.models.deployments import Deployments
from services.models.gateway import Gateway
from services.models.lanes import Lanes

T = TypeVar("T")


@dataclass
class Heard:
    """What a reader made of the events."""

    events: list[GatewayEvent] = field(default_factory=list)
    error: ColonnadeError | None = None

    def of(self, kind: type[T]) -> list[T]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        """What stands at the end, restarts obeyed."""
        pieces: list[str] = []
        for event in self.events:
            if isinstance(event, Restarted):
                pieces.clear()
            elif isinstance(event, TextDelta | RefusalDelta):
                pieces.append(event.text)
        return "".join(pieces)

    @property
    def asked(self) -> list[str]:
        """The deployments that were asked, in order."""
        return [event.deployment.name for event in self.of(Selected)]

    @property
    def switches(self) -> list[tuple[str, str]]:
        """Who failed, and why."""
        return [(event.failed, event.cause) for event in self.of(Switched)]

    @property
    def completed(self) -> Completed:
        """The end of a good generation."""
        (end,) = self.of(Completed)
        return end


@dataclass
class GatewayNode:
    """A gateway under test."""

    gateway: ModelGateway
    lanes: Lanes
    money: BudgetProcess
    state: FakeState
    clock: Clock
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def order(
        self, text: str = "Hi", *, tenant: TenantId = ACME, **changes: Any
    ) -> GenerationOrder:
        """A bare generation of its own."""
        part = PromptPart.of(Role.USER, text, Provenance(SourceKind.USER), Trust.CALLER)
        unit = SpendingUnit(f"gen-{next(self._ids)}", tenant, ANN, "tests")
        deadline = Seconds(self.clock.monotonic() + changes.pop("within", 60.0))
        return replace(GenerationOrder(unit, (part,), text, deadline), **changes)

    def stream(self, order: GenerationOrder) -> GatewayEvents:
        """Its events."""
        key = ApiKeyId("key-1")
        principal = Principal(order.unit.tenant, order.unit.user, key, frozenset({"*"}))
        call = Call(principal, CallId(f"call-{order.unit.id}"), order.deadline)
        return self.gateway.generate(call, order)

    async def hear(self, order: GenerationOrder | None = None, **changes: Any) -> Heard:
        """All events, and the error at the end if there is one."""
        heard = Heard()
        try:
            async with aclosing(self.stream(order or self.order(**changes))) as events:
                async for event in events:
                    heard.events.append(event)
        except ColonnadeError as error:
            heard.error = error
        return heard

    async def spent(self, rule: BudgetRule) -> dict[str, Decimal]:
        """What the store knows to be spent of a rule's budgets, once all is told."""
        await self.money.report()
        return await spent(self.state, rule, self.clock)

    async def attempts(self, unit: str = "gen-1") -> Sequence[Attempt]:
        """The attempts on record."""
        async with self.state.snapshot(ACME) as view:
            return await view.spending.attempts(unit)

    async def ledger(self, unit: str = "gen-1") -> Sequence[LedgerLine]:
        """What was booked."""
        async with self.state.snapshot(ACME) as view:
            return await view.spending.lines(unit)


def gateway_node(
    *models: ScriptedModel,
    resilience: ResiliencePolicy = PLAIN,
    routes: Sequence[Route] = (),
    routing: RoutingPolicy | None = None,
    budgets: Sequence[BudgetRule] = (),
    draw: Callable[[], float] = lambda: 0.5,
) -> GatewayNode:
    """A gateway for these models, in the order of their tier and price unless a route is asked."""
    clock, state = loop_clock(), FakeState(loop_now)
    catalog = Catalog(
        {model.deployment.name: model.deployment for model in models},
        {route.name: route for route in routes},
    )
    served = {model.deployment.name: model for model in models}
    deployments = Deployments(catalog, served, routing or RoutingPolicy())
    lanes = Lanes(clock, resilience, draw)
    money = a_process(state, budgets, clock)
    gateway = Gateway(lambda: deployments, Attempts(state), clock, lanes, money.book)
    return GatewayNode(gateway, lanes, money, state, clock)


def a_route(*names: str, **fields: Any) -> Route:
    """The route `way` through these deployments."""
    return Route("way", tuple(map(DeploymentName, names)), **fields)
