"""Calls that are no generation: on record before, booked after, as every call that may cost is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from core.catalog import Deployment
from core.errors import Unavailable
from core.generation import ModelError, TokenUsage
from core.identifiers import Seconds
from core.ports.gateway_observer import AttemptEnded, GatewayObserver
from core.ports.model_gateway import SpendingUnit
from core.prices import cost_of
from core.principal import Principal
from core.turns.outcome import bookable_usage
from services.models.attempt_steps import NOTHING
from services.models.attempts import Attempts
from services.models.spending import Budgets


class Counts(Protocol):
    """What a call returns."""

    @property
    def tokens(self) -> int | None:
        """How many were read; None where that was not said."""


Result = TypeVar("Result", bound=Counts)


@dataclass(frozen=True, slots=True)
class Paid(Generic[Result]):
    """What a call returned, and what it is booked as."""

    result: Result
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None


class PaidCalls:
    """Makes calls of one `operation`, as operators are told of it."""

    def __init__(
        self, operation: str, attempts: Attempts, budgets: Budgets, observer: GatewayObserver
    ) -> None:
        self._operation = operation
        self._attempts = attempts
        self._budgets = budgets
        self._observer = observer

    async def make(
        self,
        payer: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        bound: int,
        work: Callable[[], Awaitable[Result]],
    ) -> Paid[Result]:
        """Do the work, which reads `bound` tokens at most. Raises BudgetSpent, and what it does."""
        reservation = await self._budgets.reserve(payer, unit, deployment, bound, 0)
        unit = unit.paid(payer.key, reservation.holder if reservation else "")
        cost: Decimal | None = Decimal(0)
        began, outcome = _now(), "stopped"
        try:
            attempt, used = await self._attempts.begin(unit, deployment, bound, 0), NOTHING
            try:
                if reservation is not None:
                    self._budgets.require(reservation)
                used = TokenUsage()
                result = await work()
                used, outcome = TokenUsage(result.tokens, 0), "ok"
            except (ModelError, Unavailable) as error:
                outcome = error.kind.value if isinstance(error, ModelError) else "unavailable"
                raise
            finally:
                ended = replace(attempt, used=used)
                usage, estimated = bookable_usage(ended)
                cost = cost_of(usage, deployment.prices)
                took = Seconds(_now() - began)
                self._observer.attempt_ended(
                    AttemptEnded(
                        deployment, self._operation, outcome, took, None, usage, estimated, cost
                    )
                )
                await self._attempts.end(ended, unit, deployment)
        finally:
            if reservation is not None:
                self._budgets.settle(reservation, cost)
        return Paid(result, usage, estimated, cost)


def _now() -> float:
    return asyncio.get_running_loop().time()
