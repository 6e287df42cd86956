"""Anthropic's Messages: Claude, at Anthropic or behind a gateway that speaks its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.models.anthropic_reader import MessageReader
from adapters.models.anthropic_request import LONGEST_NAME, Thinking, request_body
from adapters.models.remote_model import RemoteModel
from adapters.models.tool_names import ToolNames
from adapters.models.upstream import Upstream
from adapters.models.wire import WireRequest
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest

VERSION = "2023-06-01"
POSSIBLE = frozenset(
    {
        Capability.IMAGES,
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.STOP,
        Capability.REASONING,
    }
)
"""The format has no seeds and no log-probabilities."""


@dataclass(frozen=True, slots=True)
class MessagesServer(Upstream):
    """A server of Messages. `thinking` is how its model is told how long to think."""

    thinking: Thinking = "budget"


class Messages:
    """The Wire of Anthropic's Messages."""

    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking

    @property
    def possible(self) -> frozenset[Capability]:
        """See Wire. A number of tokens means nothing to models that are told by a word."""
        bounded = self._thinking == "budget"
        return POSSIBLE | {Capability.REASONING_BUDGET} if bounded else POSSIBLE

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """See Wire."""
        body = request_body(request, deployment, self._thinking)
        return WireRequest("/messages", body, {"anthropic-version": VERSION})

    def reader(self, request: GenerationRequest) -> MessageReader:
        """See Wire."""
        return MessageReader(ToolNames.of(request, LONGEST_NAME))

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """See Wire."""
        return {"x-api-key": api_key}


class AnthropicModel(RemoteModel):
    """One deployment on a server of Anthropic's Messages."""

    def __init__(
        self, deployment: Deployment, server: MessagesServer, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(deployment, server, Messages(server.thinking), now=now)
