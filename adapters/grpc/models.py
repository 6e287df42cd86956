"""ModelService: translation, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from adapters.grpc import generation, messages, names, rerank_messages, tool_messages, values
from adapters.grpc.catalog_messages import (
    embedding_model,
    health,
    language_model,
    reranking_model,
    routing,
)
from adapters.grpc.completions import CompletionPieces, WholeCompletion
from adapters.grpc.violations import below, check, known, together, too_long
from colonnade.v1 import (
    counting_pb2,
    embeddings_pb2,
    models_pb2,
    rerank_pb2,
    routing_pb2,
    usage_pb2,
)
from core.call import Call
from core.errors import FieldViolation, InvalidInput
from core.generation import GenerationOptions, TokenUsage
from core.identifiers import RequestId
from core.message_rules import MAX_TEXT
from core.messages import Message, Role
from core.pages import Cursor, PageRequest, page_of
from core.ports.embedder import TextKind
from core.ports.reranking import Reranking
from core.ports.token_bounds import TokenCounting
from services.models.models import GenerateRequest, Models
from services.models.reranking import Rerankers

_MOST_TEXTS, _LONGEST_TEXT, _LONGEST_NAME = 256, 32_000, 200
_PURPOSES = {
    embeddings_pb2.EmbedRequest.PURPOSE_UNSPECIFIED: TextKind.DOCUMENT,
    embeddings_pb2.EmbedRequest.PURPOSE_DOCUMENT: TextKind.DOCUMENT,
    embeddings_pb2.EmbedRequest.PURPOSE_QUERY: TextKind.QUERY,
}


_COUNTINGS = {
    TokenCounting.EXACT: counting_pb2.TOKEN_COUNTING_EXACT,
    TokenCounting.TOKENIZER: counting_pb2.TOKEN_COUNTING_TOKENIZER,
    TokenCounting.BYTES: counting_pb2.TOKEN_COUNTING_BYTES,
}


class ModelServicer:
    """One function a method of the contract."""

    def __init__(self, models: Models, reranking: Reranking, rerankers: Rerankers) -> None:
        self._models = models
        self._reranking = reranking
        self._rerankers = rerankers

    async def Generate(
        self, request: models_pb2.GenerateRequest, call: Call
    ) -> models_pb2.GenerateResponse:
        """The whole completion: it may begin anew, since nobody has seen the text so far."""
        whole = WholeCompletion(call)
        wanted = _generate_request(request)
        generated = self._models.generate(call, wanted, accepts_restart=True)
        async with aclosing(generated) as events:
            async for event in events:
                whole.hear(event)
        return whole.response

    async def StreamGenerate(
        self, request: models_pb2.GenerateRequest, call: Call
    ) -> AsyncGenerator[models_pb2.StreamGenerateResponse, None]:
        """The completion in pieces. Nothing is sent before there is a piece."""
        pieces = CompletionPieces(call)
        async with aclosing(self._models.generate(call, _generate_request(request))) as events:
            async for event in events:
                if (piece := pieces.of(event)) is not None:
                    yield piece

    async def ExplainRouting(
        self, request: models_pb2.GenerateRequest, call: Call
    ) -> routing_pb2.Routing:
        """Who would be asked."""
        return routing(self._models.explain(call, _generate_request(request)))

    async def GetModelHealth(
        self, request: routing_pb2.GetModelHealthRequest, call: Call
    ) -> routing_pb2.ModelHealth:
        """How a deployment does."""
        if not request.name:
            raise InvalidInput.at("name", "is required")
        check(too_long(request.name, _LONGEST_NAME, "name"))
        call.facts.model_version = request.name
        return health(request.name, self._models.health(request.name))

    async def Embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """One vector a text."""
        check(_embed_violations(request))
        kind = known(_PURPOSES, request.purpose, "purpose")
        made = await self._models.embed(
            call, list(request.texts), kind, request.model, request.feature
        )
        embedder, spent = made.embedder, made.spent
        call.facts.model_version = embedder.name
        if spent is not None:
            call.facts.token_count = spent.usage.prompt
            call.facts.cost, call.facts.currency = spent.cost, made.currency
        return embeddings_pb2.EmbedResponse(
            model=embedder.name,
            dimensions=embedder.dimensions,
            embeddings=[
                embeddings_pb2.Embedding(values=vector.tolist()) for vector in made.vectors
            ],
            usage=_read(spent.usage) if spent else None,
            cost=values.money(spent.cost, made.currency) if spent else None,
        )

    async def Rerank(
        self, request: rerank_pb2.RerankRequest, call: Call
    ) -> rerank_pb2.RerankResponse:
        """Documents in the order of how well they answer."""
        made = await self._reranking.rerank(call, rerank_messages.order_of(request))
        return rerank_messages.response(made)

    async def CountTokens(
        self, request: counting_pb2.CountTokensRequest, call: Call
    ) -> counting_pb2.CountTokensResponse:
        """How many tokens there are."""
        given, options = _counted_messages(request), _counted_options(request)
        counted = await self._models.count(given, request.model, options)
        call.facts.model_version = counted.deployment.name
        return counting_pb2.CountTokensResponse(
            tokens=counted.tokens,
            model=counted.deployment.name,
            context_tokens=counted.deployment.context_window,
            counting=_COUNTINGS[counted.counting],
            least_tokens=counted.least,
        )

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, call: Call
    ) -> models_pb2.ListModelsResponse:
        """The deployments, the embedders and the routes."""
        del call
        wanted = PageRequest.of(request.page_size, request.page_token)
        every = [
            language_model(item, self._models.health(item.name))
            for item in self._models.deployments()
        ]
        every += [embedding_model(item) for item in self._models.embedders()]
        every += [reranking_model(item.deployment) for item in self._rerankers.entries]
        every.sort(key=lambda model: model.name)
        after = wanted.after.id if wanted.after else ""
        rows = [model for model in every if model.name > after][: wanted.size + 1]
        page = page_of(rows, wanted, lambda model: Cursor(model.name, model.name))
        return models_pb2.ListModelsResponse(
            models=page.items,
            next_page_token=page.next_token,
            routes=[
                models_pb2.Route(name=route.name, models=route.candidates)
                for route in self._models.routes()
            ],
        )


def _generate_request(request: models_pb2.GenerateRequest) -> GenerateRequest:
    try:
        return _read_request(request)
    except InvalidInput:
        _refuse(request)
        raise


def _refuse(request: models_pb2.GenerateRequest) -> None:
    """Raises with all that is wrong, not with the first of it alone."""
    together(
        lambda: names.request_id(request.request_id),
        lambda: messages.all_to_domain(request.messages, "messages"),
        lambda: generation.constraints(request.constraints),
        lambda: tool_messages.definitions(request.tools),
        lambda: generation.options(request.options),
        lambda: generation.cache(request.cache),
        lambda: generation.task(request.task),
    )


def _read_request(request: models_pb2.GenerateRequest) -> GenerateRequest:
    names.request_id(request.request_id)
    with below():
        return GenerateRequest(
            messages=messages.all_to_domain(request.messages, "messages"),
            request_id=RequestId(request.request_id),
            model=request.model,
            constraints=generation.constraints(request.constraints),
            options=generation.options(request.options, tool_messages.definitions(request.tools)),
            feature=request.feature,
            task=generation.task(request.task),
            session=request.session,
            cache=generation.cache(request.cache),
            explain=request.explain,
        )


def _embed_violations(request: embeddings_pb2.EmbedRequest) -> Iterator[FieldViolation]:
    if not 1 <= len(request.texts) <= _MOST_TEXTS:
        yield FieldViolation("texts", f"has {len(request.texts)}; 1 to {_MOST_TEXTS} are taken")
    for index, text in enumerate(request.texts):
        if not 1 <= len(text) <= _LONGEST_TEXT:
            yield FieldViolation(
                f"texts[{index}]", f"has {len(text)} characters; 1 to {_LONGEST_TEXT} are taken"
            )
    yield from too_long(request.model, _LONGEST_NAME, "model")
    yield from too_long(request.feature, _LONGEST_NAME, "feature")


def _counted_messages(request: counting_pb2.CountTokensRequest) -> Sequence[Message]:
    check(too_long(request.model, _LONGEST_NAME, "model"))
    if bool(request.text) == bool(request.messages):
        raise InvalidInput.at("text", "set exactly one of text and messages")
    if not request.text:
        return messages.all_to_domain(request.messages, "messages")
    check(too_long(request.text, MAX_TEXT, "text"))
    return [Message.of(Role.USER, request.text)]


def _counted_options(request: counting_pb2.CountTokensRequest) -> GenerationOptions:
    tools = tool_messages.definitions(request.tools)
    schema = generation.schema(request.response_schema, "response_schema")
    with below():
        return GenerationOptions(tools=tools, response_schema=schema)


def _read(usage: TokenUsage) -> usage_pb2.Usage | None:
    """What was read; unset where the provider did not count."""
    return None if usage.prompt is None else usage_pb2.Usage(prompt_tokens=usage.prompt)
