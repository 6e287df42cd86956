"""Documents put in order: one reranker after the other until one answers, each call booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from core.call import Call
from core.catalog import Deployment, Tier
from core.clock import Clock, NewId
from core.errors import DeadlineExceeded, FeatureUnsupported, ModelsUnavailable, NotFound
from core.generation import ModelError, ModelErrorKind
from core.identifiers import DeploymentName, Seconds
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import SpendingUnit
from core.ports.reranker import Reranker, Scored
from core.prices import Prices
from core.reranking import Reranked, RerankOrder, best_first
from services.models.attempts import Attempts
from services.models.paid_calls import PaidCalls
from services.models.spending import NO_BUDGETS, Budgets

_SPECIAL_TOKENS = 4
"""What models put around a query and a document that they read together."""
_LATE = Seconds(0.05)
"""A call that ended this close to its caller's deadline ended because of it."""


@dataclass(frozen=True, slots=True)
class RerankerEntry:
    """A reranker under the name that requests give; `timeout` bounds each call of it."""

    alias: str
    reranker: Reranker
    prices: Prices = Prices()
    timeout: Seconds = Seconds(30.0)

    @property
    def deployment(self) -> Deployment:
        """What it is booked as."""
        return Deployment(
            name=DeploymentName(self.alias),
            model=self.reranker.name,
            provider="reranker",
            tier=Tier.SMALL,
            context_window=0,
            max_output_tokens=0,
            prices=self.prices,
        )


class Rerankers:
    """The rerankers of this process, in the order in which they are asked."""

    def __init__(self, entries: Sequence[RerankerEntry]) -> None:
        self._by_alias: Mapping[str, RerankerEntry] = {each.alias: each for each in entries}

    @property
    def entries(self) -> Sequence[RerankerEntry]:
        """All of them."""
        return tuple(self._by_alias.values())

    def asked(self, model: str) -> Sequence[RerankerEntry]:
        """Who is asked. Raises NotFound, and FeatureUnsupported where there is nobody."""
        if not self._by_alias:
            raise FeatureUnsupported("this server has no reranker", feature="rerank")
        if not model:
            return self.entries
        named = [e for e in self.entries if model in (e.alias, e.reranker.name)]
        if not named:
            raise NotFound("model", model)
        return named[:1]


class BookedReranking:
    """The Reranking of a process that hosts its own rerankers."""

    def __init__(
        self,
        rerankers: Rerankers,
        attempts: Attempts,
        clock: Clock,
        new_id: NewId,
        budgets: Budgets = NO_BUDGETS,
        observer: GatewayObserver = QUIET_GATEWAY,
    ) -> None:
        self._rerankers = rerankers
        self._calls = PaidCalls("rerank", attempts, budgets, observer)
        self._clock = clock
        self._new_id = new_id

    async def rerank(self, call: Call, order: RerankOrder) -> Reranked:
        """See Reranking. A model that is named is asked alone."""
        principal = call.principal
        unit = SpendingUnit(self._new_id("rank"), principal.tenant, principal.user, order.feature)
        failures: list[tuple[str, str]] = []
        soonest: Seconds | None = None
        for entry in self._rerankers.asked(order.model):
            call.facts.model_version = entry.alias
            try:
                made = await self._booked(call, unit, order, entry)
            except ModelError as error:
                if self._left(call) <= _LATE and error.kind is ModelErrorKind.TIMEOUT:
                    raise DeadlineExceeded("no reranker answered by the deadline") from error
                failures.append((entry.alias, error.kind.value))
                waits = [w for w in (soonest, error.retry_after) if w is not None]
                soonest = min(waits, default=None)
            else:
                made.note(call.facts)
                return made
        told = ModelsUnavailable(failures)
        told.retry_after = soonest or told.retry_after
        raise told

    async def _booked(
        self, call: Call, unit: SpendingUnit, order: RerankOrder, entry: RerankerEntry
    ) -> Reranked:
        deployment = entry.deployment
        work = partial(self._scored, call, order, entry)
        paid = await self._calls.make(call.principal, unit, deployment, _bound(order), work)
        ranked = best_first(paid.result.scores, order.limit)
        currency = deployment.prices.currency
        return Reranked(entry.alias, ranked, paid.usage, paid.cost, currency, paid.estimated)

    async def _scored(self, call: Call, order: RerankOrder, entry: RerankerEntry) -> Scored:
        left = self._left(call)
        if left <= 0:
            raise DeadlineExceeded("no time was left for the reranker")
        timeout = Seconds(min(entry.timeout, left))
        return await entry.reranker.rerank(
            order.query, order.documents, timeout=timeout, trace=call.trace
        )

    def _left(self, call: Call) -> Seconds:
        return Seconds(call.deadline - self._clock.monotonic())


def _bound(order: RerankOrder) -> int:
    """The most tokens that are read: the query again with each document."""
    query = len(order.query.encode())
    return sum(query + len(text.encode()) + _SPECIAL_TOKENS for text in order.documents)
