"""Any server with POST /chat/completions: OpenAI, vLLM, llama.cpp, Ollama and many more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.models.openai_chunks import ChunkReader
from adapters.models.openai_dialects import Dialect, dialect_of
from adapters.models.openai_request import request_body
from adapters.models.remote_model import RemoteModel
from adapters.models.tool_names import ToolNames
from adapters.models.upstream import Upstream
from adapters.models.wire import WireRequest
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest


@dataclass(frozen=True, slots=True)
class ChatServer(Upstream):
    """A server of Chat Completions. Without a `dialect`, its host name tells, or it is generic."""

    dialect: Dialect | None = None


class ChatCompletions:
    """The Wire of OpenAI's Chat Completions, in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    @property
    def possible(self) -> frozenset[Capability]:
        """See Wire."""
        return self._dialect.possible

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """See Wire."""
        return WireRequest("/chat/completions", request_body(request, deployment, self._dialect))

    def reader(self, request: GenerationRequest) -> ChunkReader:
        """See Wire."""
        return ChunkReader(self._dialect, ToolNames.of(request))

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """See Wire."""
        return {"Authorization": f"Bearer {api_key}"}


class OpenAICompatible(RemoteModel):
    """One deployment on a server of Chat Completions."""

    def __init__(
        self, deployment: Deployment, server: ChatServer, *, now: Callable[[], datetime]
    ) -> None:
        dialect = server.dialect or dialect_of(server.base_url)
        super().__init__(deployment, server, ChatCompletions(dialect), now=now)
