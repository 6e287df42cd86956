"""ModelService: translation, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from adapters.grpc import generation, messages, names, values
from adapters.grpc.violations import below, check, known, together, too_long
from colonnade.v1 import messages_pb2, models_pb2, turns_pb2
from core.call import Call
from core.catalog import Deployment, Tier
from core.embedding import EmbeddingModel
from core.errors import FieldViolation, InvalidInput
from core.generation import ReasoningDelta, RefusalDelta, StopCause, TextDelta
from core.identifiers import RequestId
from core.message_rules import MAX_TEXT
from core.messages import Message, Role
from core.pages import Cursor, PageRequest, page_of
from core.ports.embedder import TextKind
from core.ports.model_gateway import Completed, GatewayEvent
from services.models.models import GenerateRequest, Models

_MOST_TEXTS, _LONGEST_TEXT, _LONGEST_NAME = 256, 32_000, 200
_PURPOSES = {
    models_pb2.EmbedRequest.PURPOSE_UNSPECIFIED: TextKind.DOCUMENT,
    models_pb2.EmbedRequest.PURPOSE_DOCUMENT: TextKind.DOCUMENT,
    models_pb2.EmbedRequest.PURPOSE_QUERY: TextKind.QUERY,
}
_TIERS = {
    Tier.EXTRACTIVE: models_pb2.MODEL_TIER_EXTRACTIVE,
    Tier.TINY: models_pb2.MODEL_TIER_TINY,
    Tier.SMALL: models_pb2.MODEL_TIER_SMALL,
    Tier.STRONG: models_pb2.MODEL_TIER_STRONG,
}
_REASONS = {
    StopCause.STOP: turns_pb2.FINISH_REASON_STOP,
    StopCause.TOOL_CALLS: turns_pb2.FINISH_REASON_STOP,
    StopCause.LENGTH: turns_pb2.FINISH_REASON_LENGTH,
    StopCause.CONTENT_FILTER: turns_pb2.FINISH_REASON_CONTENT_FILTER,
}


class ModelServicer:
    """One function a method of the contract."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def Generate(
        self, request: models_pb2.GenerateRequest, call: Call
    ) -> models_pb2.GenerateResponse:
        """The whole completion."""
        text: list[str] = []
        response = models_pb2.GenerateResponse()
        async with aclosing(self.StreamGenerate(request, call)) as pieces:
            async for piece in pieces:
                text.append(piece.text)
                if piece.finish_reason:
                    response.finish_reason = piece.finish_reason
                    response.model = piece.model
                    response.usage.CopyFrom(piece.usage)
                    if piece.HasField("cost"):
                        response.cost.CopyFrom(piece.cost)
        part = messages_pb2.Part(text="".join(text))
        response.message.CopyFrom(
            messages_pb2.Message(role=messages_pb2.ROLE_ASSISTANT, parts=[part])
        )
        return response

    async def StreamGenerate(
        self, request: models_pb2.GenerateRequest, call: Call
    ) -> AsyncGenerator[models_pb2.StreamGenerateResponse, None]:
        """The completion in pieces."""
        async with aclosing(self._models.generate(call, _generate_request(request))) as events:
            async for event in events:
                piece = _piece(event, call)
                if piece is not None:
                    yield piece

    async def Embed(self, request: models_pb2.EmbedRequest, call: Call) -> models_pb2.EmbedResponse:
        """One vector a text."""
        check(_embed_violations(request))
        kind = known(_PURPOSES, request.purpose, "purpose")
        embedder, vectors = await self._models.embed(list(request.texts), kind, request.model)
        call.facts.model_version = embedder.name
        return models_pb2.EmbedResponse(
            model=embedder.name,
            dimensions=embedder.dimensions,
            embeddings=[models_pb2.Embedding(values=vector.tolist()) for vector in vectors],
        )

    async def CountTokens(
        self, request: models_pb2.CountTokensRequest, call: Call
    ) -> models_pb2.CountTokensResponse:
        """How many tokens there are."""
        counted = await self._models.count(_counted_messages(request), request.model)
        call.facts.model_version = counted.deployment.name
        return models_pb2.CountTokensResponse(
            tokens=counted.tokens,
            model=counted.deployment.name,
            context_tokens=counted.deployment.context_window,
        )

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, call: Call
    ) -> models_pb2.ListModelsResponse:
        """The deployments, the embedders and the routes."""
        del call
        wanted = PageRequest.of(request.page_size, request.page_token)
        every = [_language_model(item) for item in self._models.deployments()]
        every += [_embedding_model(item) for item in self._models.embedders()]
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
    together(
        lambda: names.request_id(request.request_id),
        lambda: messages.all_to_domain(request.messages, "messages"),
        lambda: generation.constraints(request.constraints),
        lambda: generation.options(request.options),
    )
    with below():
        return GenerateRequest(
            messages=messages.all_to_domain(request.messages, "messages"),
            request_id=RequestId(request.request_id),
            model=request.model,
            constraints=generation.constraints(request.constraints),
            options=generation.options(request.options),
            feature=request.feature,
        )


def _embed_violations(request: models_pb2.EmbedRequest) -> Iterator[FieldViolation]:
    if not 1 <= len(request.texts) <= _MOST_TEXTS:
        yield FieldViolation("texts", f"has {len(request.texts)}; 1 to {_MOST_TEXTS} are taken")
    for index, text in enumerate(request.texts):
        if not 1 <= len(text) <= _LONGEST_TEXT:
            yield FieldViolation(
                f"texts[{index}]", f"has {len(text)} characters; 1 to {_LONGEST_TEXT} are taken"
            )
    yield from too_long(request.model, _LONGEST_NAME, "model")
    yield from too_long(request.feature, _LONGEST_NAME, "feature")


def _counted_messages(request: models_pb2.CountTokensRequest) -> Sequence[Message]:
    check(too_long(request.model, _LONGEST_NAME, "model"))
    if bool(request.text) == bool(request.messages):
        raise InvalidInput.at("text", "set exactly one of text and messages")
    if not request.text:
        return messages.all_to_domain(request.messages, "messages")
    check(too_long(request.text, MAX_TEXT, "text"))
    return [Message.of(Role.USER, request.text)]


def _piece(event: GatewayEvent, call: Call) -> models_pb2.StreamGenerateResponse | None:
    match event:
        case TextDelta(text) | RefusalDelta(text):
            return models_pb2.StreamGenerateResponse(text=text, model=call.facts.model_version)
        case ReasoningDelta(text):
            return models_pb2.StreamGenerateResponse(reasoning=text)
        case Completed():
            used = event.usage
            call.facts.token_count = (used.prompt or 0) + (used.completion or 0)
            call.facts.cost, call.facts.currency = event.cost, event.currency
            return models_pb2.StreamGenerateResponse(
                finish_reason=_REASONS[event.cause],
                model=event.deployment.name,
                usage=values.usage(used, estimated=event.estimated),
                cost=values.money(event.cost, event.currency),
            )
        case _:
            return None


def _language_model(value: Deployment) -> models_pb2.Model:
    prices = value.prices
    return models_pb2.Model(
        name=value.name,
        kind=models_pb2.Model.KIND_LANGUAGE,
        version=value.model,
        provider=value.provider,
        tier=_TIERS[value.tier],
        context_tokens=value.context_window,
        max_output_tokens=value.max_output_tokens,
        capabilities=sorted(capability.value for capability in value.capabilities),
        languages=sorted(value.languages),
        prompt_price=values.money(prices.input, prices.currency),
        output_price=values.money(prices.output, prices.currency),
        residency=value.residency,
    )


def _embedding_model(value: EmbeddingModel) -> models_pb2.Model:
    return models_pb2.Model(
        name=value.alias,
        kind=models_pb2.Model.KIND_EMBEDDING,
        version=value.name,
        dimensions=value.dimensions,
        languages=sorted(value.languages),
    )
