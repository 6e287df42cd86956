"""Everything that a node is told: one TOML file, and the environment over it."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from colonnaded.embedder_settings import EmbedderSettings
from colonnaded.gateway_settings import (
    BreakerSettings,
    BudgetSettings,
    HedgingSettings,
    PriceSettings,
    ResponseCacheSettings,
    RetrySettings,
    RouteSettings,
    RoutingSettings,
    ServingSettings,
    check_routing,
)
from colonnaded.mesh_settings import MeshSettings, Target, check_mesh
from colonnaded.metrics_settings import MetricsSettings
from colonnaded.provider_settings import ProviderSettings
from colonnaded.reranker_settings import RerankerSettings, embedded_reranker
from colonnaded.setting_table import Name, Positive, Table
from colonnaded.settings_file import SettingsError as SettingsError  # noqa: PLC0414  # for importers
from colonnaded.settings_file import read_settings
from colonnaded.store_settings import BusSettings, StateSettings
from core.catalog import Capability

DEFAULT_FILE = Path("colonnade.toml")
LOOPBACK = ("127.", "localhost", "[::1]", "::1")


class ServerSettings(Table):
    """How the process listens, and how much it takes on.

    `replicas` is how many processes of this host may share one data directory.
    """

    address: str = "127.0.0.1:7600"
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 1024
    max_message_bytes: Annotated[int, Field(ge=65_536, le=268_435_456)] = 16 * 1024 * 1024
    drain_seconds: Annotated[float, Field(ge=0)] = 20.0
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    default_deadline_seconds: Positive = 120.0
    max_deadline_seconds: Positive = 3600.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    reflection: bool = True

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.address.startswith(LOOPBACK)

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both, or neither")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca is of use with tls_certificate and tls_key only")
        return self


class AuthSettings(Table):
    """Who gets in. `demo_key` lets calls without a key in, which only loopback allows."""

    demo_key: bool = False


class TurnSettings(Table):
    """The bounds of turns."""

    max_seconds: Positive = 600.0
    linger_seconds: Annotated[float, Field(ge=0, le=60)] = 0.25
    gap_seconds: Annotated[float, Field(ge=0, le=0.1)] = 0.002
    tick_seconds: Annotated[float, Field(ge=0, le=0.1)] = 0.02
    max_running: Annotated[int, Field(ge=1)] = 512
    max_running_per_tenant: Annotated[int, Field(ge=1)] = 256
    id_retention_hours: Positive = 24.0
    log_retention_hours: Positive = 48.0

    @model_validator(mode="after")
    def _log_outlives_id(self) -> Self:
        if self.log_retention_hours < self.id_retention_hours + 1:
            raise ValueError("log_retention_hours must exceed id_retention_hours by 1 at least")
        return self


class RetrievalSettings(Table):
    """How documents are searched for a turn."""

    embedder: Name = "minilm"
    timeout_seconds: Positive = 10.0
    passages: Annotated[int, Field(ge=1, le=50)] = 6
    default_collection: Name = "default"
    sentence_vectors: bool = True


class IngestionSettings(Table):
    """What is taken in."""

    max_document_bytes: Annotated[int, Field(ge=1024)] = 50 * 1024 * 1024
    max_chunk_characters: Annotated[int, Field(ge=200, le=8000)] = 8000
    timeout_seconds: Positive = 60.0
    workers: Annotated[int, Field(ge=1, le=16)] = 1


class DeploymentSettings(ProviderSettings, ServingSettings):
    """One deployment of the catalog: what it can do, where it is, what is known of it."""

    tier: Literal["extractive", "tiny", "small", "strong"] = "small"
    context_window: Annotated[int, Field(ge=256)] = 4096
    max_output_tokens: Annotated[int, Field(ge=16)] = 1024
    capabilities: tuple[Capability, ...] = ()
    languages: tuple[str, ...] = ()
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    slots: Annotated[int, Field(ge=1, le=64)] = 2

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.check_provider()
        return self


class PromptSettings(Table):
    """The templates: the built-in ones, and those of a folder of your own."""

    folder: Path | None = None
    chat: str = "chat"
    rag: str = "grounded"


class LogSettings(Table):
    """The log: JSON lines, or lines for people."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


def _embedded_embedders() -> dict[str, EmbedderSettings]:
    return {
        "minilm": EmbedderSettings(adapter="minilm"),
        "e5": EmbedderSettings(adapter="e5"),
    }


def _embedded_deployments() -> dict[str, DeploymentSettings]:
    return {
        "smollm2": DeploymentSettings(
            adapter="llamacpp",
            tier="tiny",
            context_window=4096,
            max_output_tokens=512,
            languages=("en",),
            residency="local",
            capabilities=(Capability.STOP, Capability.SEED, Capability.JSON_SCHEMA),
            prices=PriceSettings(input=Decimal(0), output=Decimal(0), cached_input=Decimal(0)),
        )
    }


class Settings(BaseSettings):
    """The whole. Every field has a default: a server starts with no file at all."""

    model_config = SettingsConfigDict(
        env_prefix="COLONNADE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    include: tuple[Path, ...] = ()
    data_dir: Path = Path("colonnade-data")
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    state: StateSettings = StateSettings()
    bus: BusSettings = BusSettings()
    turns: TurnSettings = TurnSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    ingestion: IngestionSettings = IngestionSettings()
    embedders: dict[Name, EmbedderSettings] = Field(default_factory=_embedded_embedders)
    rerankers: dict[Name, RerankerSettings] = Field(default_factory=embedded_reranker)
    deployments: dict[Name, DeploymentSettings] = Field(default_factory=_embedded_deployments)
    routes: dict[Name, RouteSettings] = Field(default_factory=dict)
    routing: RoutingSettings = RoutingSettings()
    retries: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    hedging: HedgingSettings = HedgingSettings()
    response_cache: ResponseCacheSettings = ResponseCacheSettings()
    budgets: dict[Name, BudgetSettings] = Field(default_factory=dict)
    prompts: PromptSettings = PromptSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    mesh: MeshSettings = MeshSettings()

    @property
    def store_file(self) -> Path | None:
        """The file of the store; None where that is a server."""
        if self.state.adapter != "sqlite":
            return None
        return self.state.path or self.data_dir / "state.sqlite"

    def with_overrides(
        self, *, address: str = "", demo_key: bool = False, targets: tuple[Target, ...] = ()
    ) -> Settings:
        """These settings with what the command line says. Raises ValueError as a file would."""
        server = self.server.model_copy(update={"address": address} if address else {})
        auth = self.auth.model_copy(update={"demo_key": True} if demo_key else {})
        mesh = self.mesh.model_copy(update={"targets": targets} if targets else {})
        changed = self.model_copy(update={"server": server, "auth": auth, "mesh": mesh})
        _check(changed)
        return changed

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose content is handed in as init values."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check(self)
        return self


def _check(settings: Settings) -> None:
    """What no table can know alone. Raises ValueError with the key and how to mend it."""
    if settings.auth.demo_key and not settings.server.on_loopback:
        raise ValueError(
            "auth.demo_key: only for a server on loopback; set server.address to "
            "127.0.0.1:PORT, or make keys with: colonnade keys create"
        )
    if settings.retrieval.embedder not in settings.embedders:
        known = ", ".join(sorted(settings.embedders))
        raise ValueError(
            f"retrieval.embedder: no embedder {settings.retrieval.embedder!r}; there are: {known}"
        )
    for name, reranker in settings.rerankers.items():
        if reranker.embedder and reranker.embedder not in settings.embedders:
            raise ValueError(f"rerankers.{name}.embedder: no embedder {reranker.embedder!r}")
    check_routing(settings.routes, settings.routing, settings.deployments)
    check_mesh(settings.mesh)


def load_settings(file: Path | None = None) -> Settings:
    """The settings of this process. Raises SettingsError with every problem at once.

    `file` must exist; without it `colonnade.toml` in the working directory is read if it does.
    """
    if file is None:
        named = os.environ.get("COLONNADE_CONFIG")
        file = Path(named) if named else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    content = read_settings(file) if file is not None else {}
    try:
        return Settings(**content)  # type: ignore[arg-type]  # pydantic checks them just here
    except ValidationError as error:
        source = str(file) if file else "settings"
        raise SettingsError(source, [_problem(found) for found in error.errors()]) from error


def _problem(found: ErrorDetails) -> str:
    """A problem's key, and pydantic's words for it. Never the value, which may be a secret."""
    key = ".".join(str(step) for step in found["loc"])
    if found["type"] == "extra_forbidden":
        return f"{key}: unknown key; see the configuration page for those that there are"
    message = found["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message
