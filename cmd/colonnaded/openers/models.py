"""Opens the language models of the catalog; each loads or connects when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from colonnaded.gateway_policies import deployment_of, price_table, route_of, routing_policy
from colonnaded.gateway_settings import EXTRACTIVE
from colonnaded.settings import DeploymentSettings, Settings
from core.catalog import Catalog, Deployment
from core.clock import Clock
from core.identifiers import DeploymentName
from core.ports.language_model import LanguageModel
from services.embedders import Embedders
from services.models.deployments import Deployments, LiveDeployments


async def open_deployments(
    settings: Settings, embedders: Embedders, clock: Clock
) -> AsyncIterator[LiveDeployments]:
    """The snapshot of the settings. The extractive deployment is always in it."""
    chosen = {EXTRACTIVE: DeploymentSettings(adapter="extractive"), **settings.deployments}
    prices = price_table(settings)
    models = {
        DeploymentName(name): _open(deployment_of(name, entry, prices), entry, embedders, clock)
        for name, entry in chosen.items()
    }
    catalog = Catalog(
        {name: model.deployment for name, model in models.items()},
        {name: route_of(name, route) for name, route in settings.routes.items()},
    )
    live = LiveDeployments(Deployments(catalog, models, routing_policy(settings)))
    try:
        yield live
    finally:
        await live.close()


def _open(
    deployment: Deployment, chosen: DeploymentSettings, embedders: Embedders, clock: Clock
) -> LanguageModel:
    match chosen.adapter:
        case "extractive":
            from adapters.models.extractive import ExtractiveModel

            return ExtractiveModel(deployment, embedders.default)
        case "llamacpp":
            from adapters.models.llama_cpp import LlamaCpp

            return LlamaCpp(
                deployment,
                Path(chosen.model) if chosen.model else None,
                slots=chosen.slots,
                threads=chosen.threads,
            )
        case _:
            from colonnaded.openers.remote_models import open_remote

            return open_remote(deployment, chosen, clock)
