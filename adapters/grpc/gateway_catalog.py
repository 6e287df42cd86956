"""The catalog's entries and routing decisions between two processes of ours, nothing left out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from adapters.grpc.gateway_orders import TIERS, TIERS_BACK
from colonnade.v1 import gateway_events_pb2 as events_pb2
from core.catalog import Capability, Deployment, FallbackCause, Limits, Strategy
from core.identifiers import DeploymentName, Seconds
from core.prices import Prices, Rates
from core.routing import Candidate, Obstacle, Rejection, Rest, RoutingDecision, Standing


def exact(amount: Decimal | None) -> str:
    """An amount as text; an unknown one is empty."""
    return "" if amount is None else str(amount)


def amount(text: str) -> Decimal | None:
    """The same, back."""
    return Decimal(text) if text else None


def deployment_message(value: Deployment) -> events_pb2.GatewayDeployment:
    """An entry of the catalog."""
    return events_pb2.GatewayDeployment(
        name=value.name,
        model=value.model,
        provider=value.provider,
        tier=TIERS[value.tier],
        context_window=value.context_window,
        max_output_tokens=value.max_output_tokens,
        capabilities=sorted(capability.value for capability in value.capabilities),
        prices=_prices_message(value.prices),
        residency=value.residency,
        languages=sorted(value.languages),
        takes_prefix=value.takes_prefix,
        labels=sorted(value.labels),
        limits=_limits_message(value.limits),
    )


def deployment_from(message: events_pb2.GatewayDeployment) -> Deployment:
    """The same, back."""
    return Deployment(
        name=DeploymentName(message.name),
        model=message.model,
        provider=message.provider,
        tier=TIERS_BACK[message.tier],
        context_window=message.context_window,
        max_output_tokens=message.max_output_tokens,
        capabilities=frozenset(map(Capability, message.capabilities)),
        prices=_prices_from(message.prices),
        residency=message.residency,
        languages=frozenset(message.languages),
        takes_prefix=message.takes_prefix,
        labels=frozenset(message.labels),
        limits=_limits_from(message.limits),
    )


def decision_message(value: RoutingDecision) -> events_pb2.GatewayRouted:
    """A routing decision."""
    return events_pb2.GatewayRouted(
        candidates=map(_candidate_message, value.candidates),
        rejected=[
            events_pb2.GatewayRejection(
                deployment=each.deployment,
                obstacle=each.obstacle.value,
                detail=each.detail,
                again_in=each.again_in,
            )
            for each in value.rejected
        ],
        strategy=value.strategy.value,
        fallbacks=[
            events_pb2.GatewayChain(
                cause=cause.value, candidates=map(_candidate_message, candidates)
            )
            for cause, candidates in value.fallbacks.items()
        ],
        all_rest=value.all_rest,
    )


def decision_from(message: events_pb2.GatewayRouted) -> RoutingDecision:
    """The same, back."""
    return RoutingDecision(
        tuple(map(_candidate_from, message.candidates)),
        tuple(map(_rejection_from, message.rejected)),
        Strategy(message.strategy),
        {
            FallbackCause(chain.cause): tuple(map(_candidate_from, chain.candidates))
            for chain in message.fallbacks
        },
        message.all_rest,
    )


def _rejection_from(message: events_pb2.GatewayRejection) -> Rejection:
    again_in = Seconds(message.again_in) if message.HasField("again_in") else None
    obstacle = Obstacle(message.obstacle)
    return Rejection(DeploymentName(message.deployment), obstacle, message.detail, again_in)


def _candidate_message(value: Candidate) -> events_pb2.GatewayCandidate:
    standing, rest = value.standing, value.standing.rest
    return events_pb2.GatewayCandidate(
        deployment=deployment_message(value.deployment),
        max_cost=exact(value.max_cost),
        expected_cost=exact(value.expected_cost),
        outstanding=standing.outstanding,
        first_token=standing.first_token,
        slow_first_token=standing.slow_first_token,
        rest=_rest_message(rest) if rest else None,
        notes=value.notes,
    )


def _rest_message(rest: Rest) -> events_pb2.GatewayRest:
    return events_pb2.GatewayRest(
        cause=rest.cause, again_in=rest.again_in, must=rest.must, probed=rest.probed
    )


def _candidate_from(message: events_pb2.GatewayCandidate) -> Candidate:
    rest = message.rest
    standing = Standing(
        message.outstanding,
        Seconds(message.first_token) if message.HasField("first_token") else None,
        Seconds(message.slow_first_token) if message.HasField("slow_first_token") else None,
        Rest(rest.cause, Seconds(rest.again_in), rest.must, rest.probed)
        if message.HasField("rest")
        else None,
    )
    return Candidate(
        deployment_from(message.deployment),
        amount(message.max_cost),
        amount(message.expected_cost),
        standing,
        tuple(message.notes),
    )


def _prices_message(value: Prices) -> events_pb2.GatewayPrices:
    return events_pb2.GatewayPrices(
        rates=_rates_message(value.rates(0)),
        currency=value.currency,
        request=exact(value.request),
        reasoning=exact(value.reasoning),
        long_from=value.long_from,
        long_rates=_rates_message(value.long),
        as_of=value.as_of.isoformat() if value.as_of else "",
    )


def _prices_from(message: events_pb2.GatewayPrices) -> Prices:
    rates = _rates_from(message.rates)
    return Prices(
        rates.input,
        rates.output,
        rates.cached_input,
        message.currency,
        cache_write=rates.cache_write,
        request=Decimal(message.request),
        reasoning=amount(message.reasoning),
        long_from=message.long_from if message.HasField("long_from") else None,
        long=_rates_from(message.long_rates),
        as_of=date.fromisoformat(message.as_of) if message.as_of else None,
    )


def _rates_message(value: Rates) -> events_pb2.GatewayRates:
    return events_pb2.GatewayRates(
        input=exact(value.input),
        output=exact(value.output),
        cached_input=exact(value.cached_input),
        cache_write=exact(value.cache_write),
    )


def _rates_from(message: events_pb2.GatewayRates) -> Rates:
    return Rates(
        amount(message.input),
        amount(message.output),
        amount(message.cached_input),
        amount(message.cache_write),
    )


def _limits_message(value: Limits) -> events_pb2.GatewayLimits:
    return events_pb2.GatewayLimits(
        requests_per_minute=value.requests_per_minute,
        tokens_per_minute=value.tokens_per_minute,
        concurrent=value.concurrent,
        queued=value.queued,
        longest_wait=value.longest_wait,
        first_token=value.first_token,
        total=value.total,
    )


def _limits_from(message: events_pb2.GatewayLimits) -> Limits:
    given = message.HasField
    return Limits(
        requests_per_minute=message.requests_per_minute if given("requests_per_minute") else None,
        tokens_per_minute=message.tokens_per_minute if given("tokens_per_minute") else None,
        concurrent=message.concurrent if given("concurrent") else None,
        queued=message.queued,
        longest_wait=Seconds(message.longest_wait),
        first_token=Seconds(message.first_token) if given("first_token") else None,
        total=Seconds(message.total) if given("total") else None,
    )
