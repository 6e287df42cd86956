"""OpenAI's models in Azure: Chat Completions of a deployment, at a version of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from adapters.models.openai_compatible import ChatCompletions
from adapters.models.openai_dialects import AZURE, Dialect
from adapters.models.remote_model import RemoteModel
from adapters.models.upstream import Upstream
from adapters.models.wire import WireRequest
from core.catalog import Deployment
from core.generation import GenerationRequest

NEWEST = "2024-10-21"
"""The newest version of the API that is no preview."""


@dataclass(frozen=True, slots=True)
class AzureServer(Upstream):
    """A resource in Azure: `base_url` is its endpoint, such as https://NAME.openai.azure.com.

    The model's name in the catalog is the deployment's in Azure. A key goes as `api-key`; a
    `token` of Entra, in its place, as `Authorization`. Older models and versions of the API want
    another `dialect`.
    """

    api_version: str = NEWEST
    dialect: Dialect = AZURE


class AzureChatCompletions(ChatCompletions):
    """The Wire of Chat Completions as Azure has it: the deployment is in the path."""

    def __init__(self, api_version: str, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._api_version = api_version

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """See Wire."""
        name, version = quote(deployment.model, safe=""), quote(self._api_version, safe="")
        path = f"/openai/deployments/{name}/chat/completions?api-version={version}"
        return WireRequest(path, super().request(request, deployment).body)

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """See Wire."""
        return {"api-key": api_key}


class AzureOpenAI(RemoteModel):
    """One deployment in Azure."""

    def __init__(
        self, deployment: Deployment, server: AzureServer, *, now: Callable[[], datetime]
    ) -> None:
        wire = AzureChatCompletions(server.api_version, server.dialect)
        super().__init__(deployment, server, wire, now=now)
