"""The gateway's settings in the words of the core: policies, budgets, prices."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from adapters.telemetry.structured_log import StructuredLog
from colonnaded.gateway_settings import (
    EXTRACTIVE,
    BudgetSettings,
    PriceSettings,
    RouteSettings,
)
from colonnaded.settings import DeploymentSettings, Settings, SettingsError
from core.budgets.rows import AlertRow
from core.budgets.rules import BudgetRule, Period, Subject
from core.catalog import Canary, Deployment, FallbackCause, Limits, Route, Strategy, Tier
from core.errors import InvalidInput
from core.identifiers import DeploymentName, Seconds
from core.ports.telemetry import Measures
from core.price_table import PricedModel, PriceTable, parse_price_table
from core.prices import Prices
from core.resilience.breaker import BreakerPolicy
from core.resilience.failures import CooldownPolicy
from core.resilience.load import HedgePolicy
from core.resilience.policy import ResiliencePolicy
from core.resilience.retries import RetryPolicy
from core.routing import RoutingPolicy, TaskClass

TIERS = {
    "extractive": Tier.EXTRACTIVE,
    "tiny": Tier.TINY,
    "small": Tier.SMALL,
    "strong": Tier.STRONG,
}
_DEFAULT_ROUTE = "default"
_HOSTS = {"api.openai.com": "openai", "api.deepseek.com": "deepseek"}
IMPORTED = "prices.toml"
"""The file of the data directory that `colonnade models prices import` writes."""


def resilience_policy(settings: Settings) -> ResiliencePolicy:
    """Retries, breakers, hedges."""
    retries, breaker, hedging = settings.retries, settings.breaker, settings.hedging
    return ResiliencePolicy(
        breaker=BreakerPolicy(
            window=Seconds(breaker.window_seconds),
            minimum=breaker.minimum,
            share=breaker.share,
            in_a_row=breaker.in_a_row,
            rest=Seconds(breaker.rest_seconds),
            longest_rest=Seconds(breaker.longest_rest_seconds),
            probes=breaker.probes,
            successes=breaker.successes,
        ),
        cooldown=CooldownPolicy(
            rate_limited=Seconds(breaker.rate_limited_seconds),
            authentication=Seconds(breaker.authentication_seconds),
        ),
        retry=RetryPolicy(
            rounds=retries.rounds,
            base=Seconds(retries.base_seconds),
            cap=Seconds(retries.cap_seconds),
            longest_advice=Seconds(retries.longest_advice_seconds),
            most_attempts=retries.most_attempts,
        ),
        hedge=HedgePolicy(
            enabled=hedging.enabled,
            after=None if hedging.after_seconds is None else Seconds(hedging.after_seconds),
            percentile=hedging.percentile,
            soonest=Seconds(hedging.soonest_seconds),
            latest=Seconds(hedging.latest_seconds),
            share=hedging.share,
        ),
        hold_first=Seconds(retries.hold_first_seconds),
        affinity=Seconds(settings.routing.affinity_seconds),
        gather=Seconds(settings.routing.gather_seconds),
    )


def routing_policy(settings: Settings) -> RoutingPolicy:
    """Routes of tasks, and tiers. A route named `default` is every task's that has no other."""
    routes: dict[TaskClass, str] = {}
    if _DEFAULT_ROUTE in settings.routes:
        routes = {task: _DEFAULT_ROUTE for task in TaskClass if task is not TaskClass.EMBEDDING}
    return RoutingPolicy(
        routes={**routes, **settings.routing.tasks},
        grounded_tier=TIERS[settings.routing.grounded_tier],
        simple_tier=TIERS[settings.routing.simple_tier],
        accept_unknown_price=settings.routing.accept_unknown_price,
    )


def route_of(name: str, chosen: RouteSettings) -> Route:
    """A route of the catalog."""
    chains = {
        FallbackCause.DOWN: chosen.on_down,
        FallbackCause.RATE: chosen.on_rate,
        FallbackCause.CONTEXT_WINDOW: chosen.on_context_window,
        FallbackCause.CONTENT_FILTER: chosen.on_content_filter,
    }
    canary = DeploymentName(chosen.canary)
    return Route(
        name,
        tuple(map(DeploymentName, chosen.candidates)),
        Strategy(chosen.strategy),
        {DeploymentName(each): weight for each, weight in chosen.weights.items()},
        Canary(canary, chosen.canary_share) if canary else None,
        {cause: tuple(map(DeploymentName, chain)) for cause, chain in chains.items() if chain},
    )


def _limits(chosen: DeploymentSettings) -> Limits:
    return Limits(
        requests_per_minute=chosen.requests_per_minute,
        tokens_per_minute=chosen.tokens_per_minute,
        concurrent=chosen.concurrent,
        queued=chosen.queued,
        longest_wait=Seconds(chosen.longest_wait_seconds),
        first_token=None if chosen.silence_seconds is None else Seconds(chosen.silence_seconds),
        total=None if chosen.attempt_seconds is None else Seconds(chosen.attempt_seconds),
    )


def deployment_of(name: str, chosen: DeploymentSettings, table: PriceTable) -> Deployment:
    """An entry of the catalog: what the operator says, and where he says nothing, the table."""
    if chosen.adapter == EXTRACTIVE:
        return _extractive(name)
    known = table.find(_provider(chosen), chosen.model)
    given = chosen.model_fields_set
    window, output = chosen.context_window, chosen.max_output_tokens
    if known is not None:
        window = window if "context_window" in given else known.context_window or window
        output = output if "max_output_tokens" in given else known.max_output_tokens or output
    return Deployment(
        name=DeploymentName(name),
        model=chosen.model or name,
        provider=chosen.adapter,
        tier=TIERS[chosen.tier],
        context_window=window,
        max_output_tokens=output,
        capabilities=frozenset(chosen.capabilities),
        prices=_prices(chosen.prices, known),
        residency=chosen.residency,
        languages=frozenset(chosen.languages),
        takes_prefix=chosen.takes_prefix,
        labels=frozenset(chosen.labels),
        limits=_limits(chosen),
    )


def _extractive(name: str) -> Deployment:
    """Quoting takes any context, writes nothing, and costs nothing."""
    return Deployment(
        name=DeploymentName(name),
        model=EXTRACTIVE,
        provider=EXTRACTIVE,
        tier=Tier.EXTRACTIVE,
        context_window=1_000_000,
        max_output_tokens=4096,
        prices=Prices(Decimal(0), Decimal(0), Decimal(0)),
        residency="local",
    )


def _provider(chosen: DeploymentSettings) -> str:
    """Whose prices count. A server that only speaks OpenAI's format has none of OpenAI's."""
    if chosen.adapter != "openai":
        return chosen.adapter
    host = urlsplit(chosen.base_url).hostname or ""
    return _HOSTS.get(host, "")


def _prices(own: PriceSettings, known: PricedModel | None) -> Prices:
    if own == PriceSettings():
        return known.prices if known else Prices()
    return Prices(
        own.input,
        own.output,
        own.cached_input,
        own.currency,
        cache_write=own.cache_write,
        request=own.request,
        reasoning=own.reasoning,
    )


def price_table(settings: Settings) -> PriceTable:
    """The shipped prices, with the imported ones over them, and the operator's file over both.

    Raises SettingsError that names file and key.
    """
    shipped = files("colonnaded") / "prices" / "models.toml"
    table = parse_price_table(tomllib.loads(shipped.read_text(encoding="utf-8")))
    imported = settings.data_dir / IMPORTED
    if imported.exists():
        table = table.updated(_read(imported))
    if settings.routing.prices_file is not None:
        table = table.updated(_read(settings.routing.prices_file))
    return table


def _read(path: Path) -> PriceTable:
    try:
        return parse_price_table(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), [f"can't be read as TOML: {error}"]) from error
    except InvalidInput as invalid:
        problems = [f"{v.field}: {v.description}" for v in invalid.violations]
        raise SettingsError(str(path), problems) from invalid


def budget_rules(settings: Settings) -> tuple[BudgetRule, ...]:
    """The budgets, by name."""
    return tuple(_budget(name, chosen) for name, chosen in sorted(settings.budgets.items()))


def budget_notes(log: StructuredLog, metrics: Measures) -> Callable[[AlertRow], None]:
    """Has the log say, and counts, when a threshold of a budget is reached."""

    def note(alert: AlertRow) -> None:
        log.note(
            "budget",
            budget=alert.budget,
            threshold=str(alert.threshold),
            spent=str(alert.spent),
            limit=str(alert.limit),
            currency=alert.currency,
            window_start=alert.window.isoformat(),
        )
        metrics.budget_alert(alert.budget.partition("?")[0], str(alert.threshold))

    return note


def _budget(name: str, chosen: BudgetSettings) -> BudgetRule:
    named = {
        Subject.TENANT: chosen.tenant,
        Subject.USER: chosen.user,
        Subject.FEATURE: chosen.feature,
        Subject.MODEL: chosen.model,
        Subject.KEY: chosen.key,
    }
    return BudgetRule(
        name,
        chosen.limit,
        Period(chosen.period),
        rolling=chosen.rolling,
        hard=chosen.hard,
        currency=chosen.currency,
        only=tuple((subject, value) for subject, value in named.items() if value),
        each=_each(chosen),
        thresholds=tuple(Decimal(str(share)) for share in chosen.thresholds),
    )


def _each(chosen: BudgetSettings) -> frozenset[Subject]:
    """A user's name means something within its tenant only."""
    named = frozenset(chosen.each)
    apart = Subject.USER in named and not chosen.tenant
    return named | {Subject.TENANT} if apart else named
