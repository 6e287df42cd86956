"""Opens the language models of the catalog; each loads or connects when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from colonnaded.settings import EXTRACTIVE, DeploymentSettings, Settings
from core.catalog import Catalog, Deployment, Route, Tier
from core.clock import Clock
from core.identifiers import DeploymentName
from core.ports.language_model import LanguageModel
from core.prices import Prices
from core.routing import RoutingPolicy, TaskClass
from services.embedders import Embedders
from services.models.deployments import Deployments, LiveDeployments

_TIERS = {
    "extractive": Tier.EXTRACTIVE,
    "tiny": Tier.TINY,
    "small": Tier.SMALL,
    "strong": Tier.STRONG,
}
_DEFAULT_ROUTE = "default"


async def open_deployments(
    settings: Settings, embedders: Embedders, clock: Clock
) -> AsyncIterator[LiveDeployments]:
    """The snapshot of the settings. The extractive deployment is always in it."""
    chosen = {EXTRACTIVE: DeploymentSettings(adapter="extractive"), **settings.deployments}
    models = {
        DeploymentName(name): _open(name, entry, embedders, clock) for name, entry in chosen.items()
    }
    catalog = Catalog(
        {name: model.deployment for name, model in models.items()},
        {
            name: Route(name, tuple(DeploymentName(c) for c in route.candidates))
            for name, route in settings.routes.items()
        },
    )
    live = LiveDeployments(Deployments(catalog, models, _policy(settings)))
    try:
        yield live
    finally:
        await live.close()


def _policy(settings: Settings) -> RoutingPolicy:
    routes: dict[TaskClass, str] = {}
    if _DEFAULT_ROUTE in settings.routes:
        routes = {task: _DEFAULT_ROUTE for task in TaskClass if task is not TaskClass.EMBEDDING}
    return RoutingPolicy(routes=routes, grounded_tier=_TIERS[settings.routing.grounded_tier])


def _open(
    name: str, chosen: DeploymentSettings, embedders: Embedders, clock: Clock
) -> LanguageModel:
    match chosen.adapter:
        case "extractive":
            from adapters.models.extractive import ExtractiveModel

            return ExtractiveModel(_extractive(name), embedders.default)
        case "llamacpp":
            from adapters.models.llama_cpp import LlamaCpp

            return LlamaCpp(
                _deployment(name, chosen),
                Path(chosen.model) if chosen.model else None,
                slots=chosen.slots,
                threads=chosen.threads,
            )
        case "openai":
            from adapters.models.openai_compatible import ChatServer, OpenAICompatible

            server = ChatServer(
                chosen.base_url,
                api_key=chosen.api_key.resolve() if chosen.api_key else "",
                ca_file=chosen.ca_file,
            )
            return OpenAICompatible(_deployment(name, chosen), server, now=clock.now)


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


def _deployment(name: str, chosen: DeploymentSettings) -> Deployment:
    prices = chosen.prices
    return Deployment(
        name=DeploymentName(name),
        model=chosen.model or name,
        provider=chosen.adapter,
        tier=_TIERS[chosen.tier],
        context_window=chosen.context_window,
        max_output_tokens=chosen.max_output_tokens,
        capabilities=frozenset(chosen.capabilities),
        prices=Prices(prices.input, prices.output, prices.cached_input, prices.currency),
        residency=chosen.residency,
        languages=frozenset(chosen.languages),
    )
