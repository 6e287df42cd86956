"""What is told of models: the catalog's entries, how they do, how one is chosen."""

from __future__ import annotations

from adapters.grpc import values
from colonnade.v1 import models_pb2, routing_pb2
from core.catalog import Deployment, Tier
from core.embedding import EmbeddingModel
from core.routing import Candidate, Rejection, Rest, RoutingDecision, Standing

_TIERS = {
    Tier.EXTRACTIVE: models_pb2.MODEL_TIER_EXTRACTIVE,
    Tier.TINY: models_pb2.MODEL_TIER_TINY,
    Tier.SMALL: models_pb2.MODEL_TIER_SMALL,
    Tier.STRONG: models_pb2.MODEL_TIER_STRONG,
}


def language_model(value: Deployment, standing: Standing) -> models_pb2.Model:
    """A deployment, and how it does."""
    prices = value.prices
    return models_pb2.Model(
        name=value.name,
        kind=models_pb2.Model.KIND_LANGUAGE,
        version=value.model,
        provider=value.provider,
        tier=_TIERS[value.tier],
        context_tokens=value.context_window,
        max_output_tokens=value.max_output_tokens,
        capabilities=sorted(capability.value for capability in value.capabilities),
        languages=sorted(value.languages),
        prompt_price=values.money(prices.input, prices.currency),
        output_price=values.money(prices.output, prices.currency),
        residency=value.residency,
        health=health(value.name, standing),
        labels=sorted(value.labels),
        cached_prompt_price=values.money(prices.cached_input, prices.currency),
        prices_as_of=prices.as_of.isoformat() if prices.as_of else "",
        takes_prefix=value.takes_prefix,
    )


def embedding_model(value: EmbeddingModel) -> models_pb2.Model:
    """An embedder."""
    return models_pb2.Model(
        name=value.alias,
        kind=models_pb2.Model.KIND_EMBEDDING,
        version=value.name,
        dimensions=value.dimensions,
        languages=sorted(value.languages),
    )


def reranking_model(value: Deployment) -> models_pb2.Model:
    """A reranker, as it is booked."""
    return models_pb2.Model(
        name=value.name,
        kind=models_pb2.Model.KIND_RERANKING,
        version=value.model,
        provider=value.provider,
        prompt_price=values.money(value.prices.input, value.prices.currency),
    )


def health(name: str, standing: Standing) -> routing_pb2.ModelHealth:
    """How a deployment does."""
    rest = standing.rest
    return routing_pb2.ModelHealth(
        name=name,
        state=_state(rest),
        cause=rest.cause if rest else "",
        retry_after=values.duration(rest.again_in) if rest else None,
        outstanding=standing.outstanding,
        first_token=values.duration(standing.first_token),
        slow_first_token=values.duration(standing.slow_first_token),
    )


def _state(rest: Rest | None) -> routing_pb2.ModelHealth.State.ValueType:
    if rest is None:
        return routing_pb2.ModelHealth.STATE_UP
    if rest.probed:
        return routing_pb2.ModelHealth.STATE_PROBED
    return routing_pb2.ModelHealth.STATE_RESTING


def routing(decision: RoutingDecision) -> routing_pb2.Routing:
    """Who is asked, and why not the others."""
    return routing_pb2.Routing(
        candidates=[_candidate(each) for each in decision.candidates],
        rejections=[_rejection(each) for each in decision.rejected],
        strategy=decision.strategy.value,
    )


def _candidate(value: Candidate) -> routing_pb2.RoutingCandidate:
    return routing_pb2.RoutingCandidate(
        model=value.deployment.name,
        expected_cost=values.money(value.expected_cost, value.deployment.prices.currency),
        first_token=values.duration(value.standing.first_token),
        outstanding=value.standing.outstanding,
        notes=value.notes,
    )


def _rejection(value: Rejection) -> routing_pb2.RoutingRejection:
    return routing_pb2.RoutingRejection(
        model=value.deployment, obstacle=value.obstacle.value, detail=value.detail
    )
