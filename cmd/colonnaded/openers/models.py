"""Opens the language models of the catalog; each loads or connects when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from colonnaded.gateway_policies import deployment_of, price_table, route_of, routing_policy
from colonnaded.gateway_settings import EXTRACTIVE
from colonnaded.secrets import references_in
from colonnaded.settings import DeploymentSettings, Settings
from core.catalog import Catalog, Deployment
from core.clock import Clock
from core.identifiers import DeploymentName
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.language_model import LanguageModel
from services.embedders import Embedders
from services.models.deployments import Deployments, LiveDeployments

_OUTSIDE = frozenset(
    {
        *("prices", "residency", "labels", "takes_prefix", "tier", "languages"),
        *("requests_per_minute", "tokens_per_minute", "concurrent", "queued"),
        *("longest_wait_seconds", "attempt_seconds"),
    }
)
"""What the gateway alone goes by: where nothing else has changed, the same model goes on."""


class ModelOpener:
    """Makes snapshots of the settings. A model that was opened for the same goes on in the next."""

    def __init__(
        self, embedders: Embedders, clock: Clock, observer: GatewayObserver = QUIET_GATEWAY
    ) -> None:
        self._embedders = embedders
        self._clock = clock
        self._observer = observer
        self._opened: dict[DeploymentName, tuple[object, LanguageModel]] = {}

    def snapshot(self, settings: Settings) -> Deployments:
        """All deployments and routes. The extractive deployment is always there.

        Raises SettingsError, MissingSecret, and OSError for a file that can't be used; then
        nothing has changed.
        """
        chosen = {EXTRACTIVE: DeploymentSettings(adapter="extractive"), **settings.deployments}
        prices = price_table(settings)
        entries = {
            DeploymentName(name): deployment_of(name, entry, prices)
            for name, entry in chosen.items()
        }
        opened = {name: self._model(entry, chosen[name]) for name, entry in entries.items()}
        self._opened = opened
        routes = {name: route_of(name, route) for name, route in settings.routes.items()}
        models = {name: model for name, (_, model) in opened.items()}
        return Deployments(Catalog(entries, routes), models, routing_policy(settings))

    def _model(self, entry: Deployment, chosen: DeploymentSettings) -> tuple[object, LanguageModel]:
        references = references_in(chosen.model_copy(update={"token": None}))  # read each time
        secrets = [(key, reference.resolve()) for key, reference in references]
        mark = (chosen.model_dump(exclude=set(_OUTSIDE)), entry.context_window, secrets)
        known = self._opened.get(entry.name)
        if known is not None and known[0] == mark:
            return known
        return mark, _open(entry, chosen, self._embedders, self._clock, self._observer)


async def open_deployments(
    settings: Settings, opener: ModelOpener
) -> AsyncIterator[LiveDeployments]:
    """The deployments of the settings, until the process ends."""
    live = LiveDeployments(opener.snapshot(settings))
    try:
        yield live
    finally:
        await live.close()


def _open(
    deployment: Deployment,
    chosen: DeploymentSettings,
    embedders: Embedders,
    clock: Clock,
    observer: GatewayObserver,
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

            return open_remote(deployment, chosen, clock, observer)
