"""OpenAI's Responses: its newer format, in which reasoning models keep their thoughts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from adapters.models.prompt_parts import is_begun
from adapters.models.remote_model import RemoteModel
from adapters.models.responses_reader import ResponseReader
from adapters.models.responses_request import request_body
from adapters.models.tool_names import ToolNames
from adapters.models.upstream import Upstream
from adapters.models.wire import WireRequest, unsupported
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest

POSSIBLE = frozenset(
    {
        Capability.IMAGES,
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.LOGPROBS,
        Capability.REASONING,
    }
)
"""The format has no seeds and no stop sequences."""


class Responses:
    """The Wire of OpenAI's Responses."""

    @property
    def possible(self) -> frozenset[Capability]:
        """See Wire."""
        return POSSIBLE

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """See Wire."""
        if is_begun(request):
            raise unsupported(deployment, "going on from an answer that was begun")
        return WireRequest("/responses", request_body(request, deployment))

    def reader(self, request: GenerationRequest) -> ResponseReader:
        """See Wire."""
        return ResponseReader(ToolNames.of(request))

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """See Wire."""
        return {"Authorization": f"Bearer {api_key}"}


class ResponsesModel(RemoteModel):
    """One deployment on a server of OpenAI's Responses."""

    def __init__(
        self, deployment: Deployment, server: Upstream, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(deployment, server, Responses(), now=now)
