"""How models are chosen, called and paid for: the gateway's tables of the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from colonnaded.setting_table import Name, Positive, Table
from core.budgets.rules import Subject
from core.routing import TaskClass

EXTRACTIVE = "extractive"
"""The deployment that is always there: it quotes, and is the safe answer of last resort."""
Amount = Annotated[Decimal, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Seconds = Annotated[float, Field(ge=0)]


class PriceSettings(Table):
    """Money a million tokens. What is left out is unknown, which is not zero.

    `request` is paid once a call.
    """

    input: Amount | None = None
    output: Amount | None = None
    cached_input: Amount | None = None
    cache_write: Amount | None = None
    reasoning: Amount | None = None
    request: Amount = Decimal(0)
    currency: Currency = "USD"


class ServingSettings(Table):
    """What the gateway knows of a deployment besides what it can do."""

    residency: str = ""
    labels: tuple[str, ...] = ()
    takes_prefix: bool = False
    prices: PriceSettings = PriceSettings()
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    concurrent: Annotated[int, Field(ge=1)] | None = None
    queued: Annotated[int, Field(ge=0)] = 256
    longest_wait_seconds: Positive = 30.0
    attempt_seconds: Positive | None = None
    silence_seconds: Positive | None = None


class RouteSettings(Table):
    """A way through the catalog: deployments, their order, and who is asked after a failure."""

    candidates: Annotated[tuple[Name, ...], Field(min_length=1)]
    strategy: Literal[
        "priority", "best_tier", "weighted", "lowest_cost", "lowest_latency", "least_outstanding"
    ] = "priority"
    weights: dict[Name, Annotated[float, Field(ge=0)]] = Field(default={})
    canary: str = ""
    canary_share: Share = 0.0
    on_down: tuple[Name, ...] = ()
    on_rate: tuple[Name, ...] = ()
    on_context_window: tuple[Name, ...] = ()
    on_content_filter: tuple[Name, ...] = ()

    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The deployments that each key names."""
        return {
            "candidates": self.candidates,
            "weights": tuple(self.weights),
            "canary": (self.canary,) if self.canary else (),
            "on_down": self.on_down,
            "on_rate": self.on_rate,
            "on_context_window": self.on_context_window,
            "on_content_filter": self.on_content_filter,
        }

    @model_validator(mode="after")
    def _canary_is_a_candidate(self) -> Self:
        if self.canary and self.canary not in self.candidates:
            raise ValueError("canary must be one of the candidates")
        return self


class RoutingSettings(Table):
    """Which deployments may write what."""

    grounded_tier: Literal["tiny", "small", "strong"] = "small"
    simple_tier: Literal["tiny", "small", "strong"] = "small"
    accept_unknown_price: bool = False
    tasks: dict[TaskClass, Name] = Field(default={})
    affinity_seconds: Seconds = 300.0
    gather_seconds: Annotated[float, Field(ge=0, le=0.1)] = 0.02
    prices_file: Path | None = None


class RetrySettings(Table):
    """How often the same is asked again, and how much of that the whole server may do."""

    rounds: Annotated[int, Field(ge=1, le=10)] = 3
    base_seconds: Positive = 0.5
    cap_seconds: Positive = 5.0
    longest_advice_seconds: Positive = 60.0
    most_attempts: Annotated[int, Field(ge=1, le=50)] = 8
    hold_first_seconds: Annotated[float, Field(ge=0, le=10)] = 0.0


class BreakerSettings(Table):
    """When a deployment that fails is left alone."""

    in_a_row: Annotated[int, Field(ge=1)] = 5
    window_seconds: Positive = 30.0
    minimum: Annotated[int, Field(ge=1)] = 10
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    rest_seconds: Positive = 5.0
    longest_rest_seconds: Positive = 120.0
    probes: Annotated[int, Field(ge=1)] = 1
    successes: Annotated[int, Field(ge=1)] = 2
    rate_limited_seconds: Seconds = 5.0
    authentication_seconds: Seconds = 60.0


class HedgingSettings(Table):
    """When a second deployment is asked because the first is silent."""

    enabled: bool = False
    after_seconds: Positive | None = None
    percentile: Annotated[float, Field(gt=0, le=1)] = 0.95
    soonest_seconds: Positive = 0.2
    latest_seconds: Positive = 10.0
    share: Share = 0.1


class ResponseCacheSettings(Table):
    """Answers that are kept for requests that want them from the cache."""

    max_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    ttl_seconds: Positive = 3600.0
    max_embedding_bytes: Annotated[int, Field(ge=0)] = 32 * 1024 * 1024
    shared: bool = True
    shared_rows: Annotated[int, Field(ge=1)] = 10_000
    shared_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    shared_read_seconds: Positive = 0.05
    embedding_ttl_seconds: Positive = 7 * 86_400.0


class BudgetSettings(Table):
    """What may be spent in a window, by whom."""

    limit: Annotated[Decimal, Field(gt=0)]
    period: Literal["minute", "day", "month"] = "month"
    rolling: bool = False
    hard: bool = True
    currency: Currency = "USD"
    tenant: str = ""
    user: str = ""
    feature: str = ""
    model: str = ""
    key: str = ""
    each: tuple[Subject, ...] = ()
    thresholds: tuple[Positive, ...] = (0.5, 0.8, 1.0)


def check_routing(
    routes: Mapping[str, RouteSettings], routing: RoutingSettings, deployments: Collection[str]
) -> None:
    """Whether all that is named is there. Raises ValueError with the key."""
    known = {*deployments, EXTRACTIVE}
    for name, route in routes.items():
        for key, named in route.named().items():
            for candidate in named:
                if candidate not in known:
                    raise ValueError(f"routes.{name}.{key}: no deployment {candidate!r}")
    for task, way in routing.tasks.items():
        if way not in routes:
            raise ValueError(f"routing.tasks.{task.value}: no route {way!r}")
