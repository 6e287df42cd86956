"""Models, for the blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Unpack

from colonnade.client import model_requests as requests
from colonnade.client.blocking.calls import Calls
from colonnade.client.errors import error_of
from colonnade.client.model_requests import GenerateFields
from colonnade.client.paging import PAGE_SIZE
from colonnade.client.reading import TRUNCATED
from colonnade.client.timing import CALL_TIMEOUT, CHAT_TIMEOUT
from colonnade.v1.counting_pb2 import CountTokensResponse
from colonnade.v1.embeddings_pb2 import EmbedResponse
from colonnade.v1.messages_pb2 import Message
from colonnade.v1.models_pb2 import (
    GenerateResponse,
    ListModelsRequest,
    Model,
    Route,
    StreamGenerateResponse,
)
from colonnade.v1.models_pb2_grpc import ModelServiceStub
from colonnade.v1.rerank_pb2 import RerankResponse
from colonnade.v1.routing_pb2 import GetModelHealthRequest, ModelHealth, Routing
from colonnade.v1.tools_pb2 import ToolDefinition


class Models:
    """`client.models`: language models and embedders, without retrieval or checks.

    `timeout` is in seconds. All raise ColonnadeError.
    """

    def __init__(self, calls: Calls, stub: ModelServiceStub) -> None:
        self._calls = calls
        self._stub = stub

    def list(self, *, timeout: float = CALL_TIMEOUT) -> Iterator[Model]:
        """The deployments that the server knows, by name."""
        return self._calls.paged(
            self._stub.ListModels,
            ListModelsRequest(page_size=PAGE_SIZE),
            lambda page: page.models,
            timeout,
        )

    def routes(self, *, timeout: float = CALL_TIMEOUT) -> Sequence[Route]:
        """The names that stand for several deployments."""
        page = self._calls.unary(self._stub.ListModels, ListModelsRequest(page_size=1), timeout)
        return page.routes

    def health(self, name: str, *, timeout: float = CALL_TIMEOUT) -> ModelHealth:
        """How a deployment does at this moment, as the server has seen it."""
        request = GetModelHealthRequest(name=name)
        return self._calls.unary(self._stub.GetModelHealth, request, timeout)

    def explain(
        self,
        prompt: str | Sequence[Message],
        *,
        timeout: float = CALL_TIMEOUT,
        **fields: Unpack[GenerateFields],
    ) -> Routing:
        """Who would be asked for this completion, in which order, and why not the others."""
        request = requests.generate_request(prompt, fields)
        return self._calls.unary(self._stub.ExplainRouting, request, timeout)

    def generate(
        self,
        prompt: str | Sequence[Message],
        *,
        timeout: float = CHAT_TIMEOUT,
        **fields: Unpack[GenerateFields],
    ) -> GenerateResponse:
        """One completion. Never repeated by itself: it might run, and cost, twice."""
        request = requests.generate_request(prompt, fields)
        return self._calls.unary(self._stub.Generate, request, timeout)

    def stream(
        self,
        prompt: str | Sequence[Message],
        *,
        timeout: float = CHAT_TIMEOUT,
        **fields: Unpack[GenerateFields],
    ) -> Iterator[StreamGenerateResponse]:
        """One completion in pieces. Generation stops when the iterator is closed or dropped."""
        request = requests.generate_request(prompt, fields)
        ended = False
        for piece in self._calls.streamed(self._stub.StreamGenerate, request, timeout):
            ended = ended or bool(piece.finish_reason)
            yield piece
        if not ended:
            raise error_of(TRUNCATED)

    def embed(
        self,
        texts: Sequence[str],
        *,
        model: str = "",
        purpose: Literal["document", "query"] = "document",
        feature: str = "",
        timeout: float = CALL_TIMEOUT,
    ) -> EmbedResponse:
        """One vector a text, in their order; at most 256 texts."""
        request = requests.embed_request(texts, model, purpose, feature)
        return self._calls.unary(self._stub.Embed, request, timeout)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        model: str = "",
        limit: int = 0,
        feature: str = "",
        timeout: float = CALL_TIMEOUT,
    ) -> RerankResponse:
        """The documents by how well they answer, the best first; at most 1,000 of them."""
        request = requests.rerank_request(query, documents, model, limit, feature)
        return self._calls.unary(self._stub.Rerank, request, timeout)

    def count_tokens(
        self,
        content: str | Sequence[Message],
        *,
        model: str = "",
        tools: Sequence[ToolDefinition] = (),
        response_schema: str | Mapping[str, Any] = "",
        timeout: float = CALL_TIMEOUT,
    ) -> CountTokensResponse:
        """The tokens of a text, or of messages as the model's template renders them.

        `tools` and `response_schema` are what the request will have.
        """
        request = requests.count_request(content, model, tools, response_schema)
        return self._calls.unary(self._stub.CountTokens, request, timeout)
