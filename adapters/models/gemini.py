"""Google's generateContent: Gemini, at Google AI or at Vertex AI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from adapters.models.gemini_reader import CandidateReader
from adapters.models.gemini_request import Thinking, request_body
from adapters.models.remote_model import RemoteModel
from adapters.models.tool_names import ToolNames
from adapters.models.upstream import Upstream
from adapters.models.wire import WireRequest, unsupported
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest

POSSIBLE = frozenset(Capability) - {Capability.EMBEDDINGS}


@dataclass(frozen=True, slots=True)
class GeminiServer(Upstream):
    """Google's server. `base_url` ends before `/models`.

    At Vertex AI that is `…/publishers/google`, and a `token` goes in the key's place. `thinking`
    is how the model is told how long to think.
    """

    thinking: Thinking = "budget"


class GenerateContent:
    """The Wire of Google's generateContent."""

    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking

    @property
    def possible(self) -> frozenset[Capability]:
        """See Wire. A number of tokens means nothing to models that are told by a word."""
        bounded = self._thinking == "budget"
        return POSSIBLE if bounded else POSSIBLE - {Capability.REASONING_BUDGET}

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """See Wire. The format has no way to ask for one call at a time."""
        if request.options.parallel_tool_calls is False:
            raise unsupported(deployment, "parallel_tool_calls")
        model = quote(deployment.model.removeprefix("models/"), safe="")
        method = "generateContent" if request.whole else "streamGenerateContent?alt=sse"
        path = f"/models/{model}:{method}"
        return WireRequest(path, request_body(request, deployment, self._thinking))

    def reader(self, request: GenerationRequest) -> CandidateReader:
        """See Wire."""
        return CandidateReader(ToolNames.of(request))

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """See Wire."""
        return {"x-goog-api-key": api_key}


class GeminiModel(RemoteModel):
    """One deployment at Google."""

    def __init__(
        self, deployment: Deployment, server: GeminiServer, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(deployment, server, GenerateContent(server.thinking), now=now)
