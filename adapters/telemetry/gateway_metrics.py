"""What the gateway's calls cost and how they went, counted with prometheus_client.

Names are those of OpenTelemetry's conventions for generative AI where they have one, as
Prometheus spells them; the others begin with `colonnade_`.
"""

from __future__ import annotations

from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Histogram

from core.generation import TokenUsage
from core.identifiers import DeploymentName
from core.ports.gateway_observer import AttemptEnded
from core.prices import saved_by_cache

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_CALL = ("gen_ai_operation_name", "gen_ai_provider_name", "deployment")
PROMPT_CACHE, RESPONSE_CACHE = "prompt_cache", "response_cache"


class GatewayMetrics:
    """It is a GatewayObserver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "How long calls of deployments took; error_type is empty for those that went well.",
            [*_CALL, "error_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._first = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "How long it took until the first piece of a streamed answer.",
            _CALL,
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "gen_ai_client_tokens",
            "Tokens that were booked; cached ones are part of input, reasoning of output.",
            ["deployment", "gen_ai_token_type", "estimated"],
            registry=registry,
        )
        self._cost = Counter(
            "colonnade_model_cost",
            "What calls of deployments cost, as far as prices are known.",
            ["deployment", "currency"],
            registry=registry,
        )
        self._unknown = Counter(
            "colonnade_model_cost_unknown",
            "Calls of which nobody knows what they cost.",
            ["deployment"],
            registry=registry,
        )
        self._saved = Counter(
            "colonnade_model_saved",
            "What was not spent: by the provider's own prompt cache, or by a cached answer.",
            ["by", "currency"],
            registry=registry,
        )
        self._without_call = Counter(
            "colonnade_answers_without_call",
            "Answers from the cache, or that came along with an equal request.",
            registry=registry,
        )
        self._keys = Counter(
            "colonnade_provider_keys_rested",
            "Keys of several that were limited or refused, and left alone for a while.",
            ["deployment", "error_type"],
            registry=registry,
        )
        self._known: dict[tuple[DeploymentName, str, str], Histogram] = {}

    def attempt_ended(self, ended: AttemptEnded) -> None:
        """See GatewayObserver."""
        deployment = ended.deployment
        name, currency = deployment.name, deployment.prices.currency
        self._duration_of(ended).observe(ended.seconds)
        if ended.first is not None:
            self._first.labels(ended.operation, deployment.provider, name).observe(ended.first)
        self._count(name, ended.usage, "true" if ended.estimated else "false")
        if ended.cost is None:
            self._unknown.labels(name).inc()
        else:
            self._cost.labels(name, currency).inc(float(ended.cost))
        if ended.usage.cached_prompt:
            self._spared(PROMPT_CACHE, saved_by_cache(ended.usage, deployment.prices), currency)

    def answered_without_call(self, saved: Decimal | None, currency: str) -> None:
        """See GatewayObserver."""
        self._without_call.inc()
        self._spared(RESPONSE_CACHE, saved, currency)

    def key_rested(self, deployment: DeploymentName, why: str) -> None:
        """See GatewayObserver."""
        self._keys.labels(deployment, why).inc()

    def _spared(self, by: str, saved: Decimal | None, currency: str) -> None:
        if saved:
            self._saved.labels(by, currency).inc(float(max(Decimal(0), saved)))

    def _duration_of(self, ended: AttemptEnded) -> Histogram:
        """Looking labels up is slow."""
        error = "" if ended.outcome == "ok" else ended.outcome
        key = ended.deployment.name, ended.operation, error
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._duration.labels(
                ended.operation, ended.deployment.provider, ended.deployment.name, error
            )
        return found

    def _count(self, name: DeploymentName, usage: TokenUsage, estimated: str) -> None:
        counts = {
            "input": usage.prompt,
            "output": usage.completion,
            "cached_input": usage.cached_prompt,
            "reasoning": usage.reasoning,
        }
        for kind, count in counts.items():
            if count:
                self._tokens.labels(name, kind, estimated).inc(count)
