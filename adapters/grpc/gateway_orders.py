"""What is wanted of a model, between two processes of one installation: the whole of it.

Both ends are ours, so what arrives is taken as it is; what it means is checked where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from adapters.grpc import values
from colonnade.v1 import gateway_pb2, messages_pb2, models_pb2, routing_pb2
from core.catalog import Tier
from core.generation import (
    Constraints,
    GenerationOptions,
    ReasoningEffort,
    ToolChoice,
    ToolDefinition,
)
from core.identifiers import (
    ChunkId,
    CollectionName,
    DocumentId,
    Seconds,
    TenantId,
    UserId,
)
from core.knowledge import Chunk, Passage, Signal
from core.messages import (
    ImagePart,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from core.ports.model_gateway import CachePolicy, GenerationOrder, SpendingUnit
from core.prompting.parts import PromptPart, Provenance, SourceKind, Trust
from core.routing import TaskClass

TIERS = {
    Tier.EXTRACTIVE: models_pb2.MODEL_TIER_EXTRACTIVE,
    Tier.TINY: models_pb2.MODEL_TIER_TINY,
    Tier.SMALL: models_pb2.MODEL_TIER_SMALL,
    Tier.STRONG: models_pb2.MODEL_TIER_STRONG,
}
TIERS_BACK = {number: tier for tier, number in TIERS.items()}


def order_message(order: GenerationOrder, left: Seconds) -> gateway_pb2.RunGenerationRequest:
    """The order, of which so much time is left."""
    return gateway_pb2.RunGenerationRequest(
        unit=gateway_pb2.GatewayUnit(
            id=order.unit.id,
            tenant=order.unit.tenant,
            user=order.unit.user,
            feature=order.unit.feature,
            run=order.unit.run,
            epoch=order.unit.epoch,
        ),
        parts=map(part_message, order.parts),
        question=order.question,
        seconds_left=left,
        context=map(_passage_message, order.context),
        task=order.task.value,
        model=order.model,
        minimum_tier=_tier(order.minimum_tier),
        only_extractive=order.only_extractive,
        constraints=_constraints_message(order.constraints),
        options=_options_message(order.options),
        language=order.language,
        key=order.key,
        accepts_restart=order.accepts_restart,
        explain=order.explain,
        cache=routing_pb2.CachePolicy(
            read=order.cache.read,
            write=order.cache.write,
            max_age=values.duration(order.cache.longest),
        ),
        begun=order.begun,
        whole=order.whole,
    )


def order_from(message: gateway_pb2.RunGenerationRequest, now: Seconds) -> GenerationOrder:
    """The same, on this process's clock. Raises ValueError for a word that came later than we."""
    unit, cache = message.unit, message.cache
    return GenerationOrder(
        unit=SpendingUnit(
            unit.id,
            TenantId(unit.tenant),
            UserId(unit.user),
            unit.feature,
            unit.run,
            unit.epoch if unit.HasField("epoch") else None,
        ),
        parts=tuple(map(part_from, message.parts)),
        question=message.question,
        deadline=Seconds(now + message.seconds_left),
        context=tuple(map(_passage_from, message.context)),
        task=TaskClass(message.task),
        model=message.model,
        minimum_tier=TIERS_BACK.get(message.minimum_tier),
        only_extractive=message.only_extractive,
        constraints=_constraints_from(message.constraints),
        options=_options_from(message.options),
        language=message.language,
        key=message.key,
        accepts_restart=message.accepts_restart,
        explain=message.explain,
        cache=CachePolicy(
            cache.read,
            cache.write,
            values.seconds(cache.max_age) if cache.HasField("max_age") else None,
        ),
        begun=message.begun,
        whole=message.whole,
    )


def part_message(part: PromptPart) -> gateway_pb2.GatewayPart:
    """One part of a prompt."""
    return gateway_pb2.GatewayPart(
        role=part.role.value,
        content=map(_content_message, part.content),
        source=part.source.kind.value,
        source_id=part.source.id,
        trust=part.trust.value,
        priority=part.priority,
        unit=part.unit,
        alone=part.alone,
    )


def part_from(message: gateway_pb2.GatewayPart) -> PromptPart:
    """The same, back."""
    return PromptPart(
        Role(message.role),
        tuple(map(_content_from, message.content)),
        Provenance(SourceKind(message.source), message.source_id),
        Trust(message.trust),
        message.priority,
        message.unit,
        message.alone,
    )


def _content_message(part: Part) -> gateway_pb2.GatewayContent:
    match part:
        case TextPart(text):
            return gateway_pb2.GatewayContent(text=text)
        case ImagePart(uri, kind):
            return gateway_pb2.GatewayContent(image=messages_pb2.Image(uri=uri, media_type=kind))
        case ToolCallPart(id, tool, arguments):
            call = messages_pb2.ToolCall(call_id=id, tool=tool, arguments_json=arguments)
            return gateway_pb2.GatewayContent(tool_call=call)
        case ToolResultPart(id, content, failed):
            result = messages_pb2.ToolResult(call_id=id, content=content, failed=failed)
            return gateway_pb2.GatewayContent(tool_result=result)
        case ReasoningPart(text, seal, wire):
            thoughts = gateway_pb2.GatewayThoughts(text=text, seal=seal, wire=wire)
            return gateway_pb2.GatewayContent(thoughts=thoughts)


def _content_from(message: gateway_pb2.GatewayContent) -> Part:
    match message.WhichOneof("content"):
        case "image":
            return ImagePart(message.image.uri, message.image.media_type)
        case "tool_call":
            call = message.tool_call
            return ToolCallPart(call.call_id, call.tool, call.arguments_json)
        case "tool_result":
            result = message.tool_result
            return ToolResultPart(result.call_id, result.content, result.failed)
        case "thoughts":
            thoughts = message.thoughts
            return ReasoningPart(thoughts.text, thoughts.seal, thoughts.wire)
        case _:
            return TextPart(message.text)


def _passage_message(passage: Passage) -> gateway_pb2.GatewayPassage:
    chunk = passage.chunk
    return gateway_pb2.GatewayPassage(
        chunk_id=chunk.id,
        document_id=chunk.document,
        ordinal=chunk.ordinal,
        text=chunk.text,
        span=messages_pb2.SourceSpan(
            start_character=chunk.start, end_character=chunk.end, headings=chunk.heading
        ),
        language=chunk.language,
        collection=passage.collection,
        title=passage.title,
        uri=passage.uri,
        score=passage.score,
        signals=[
            gateway_pb2.GatewaySignal(
                name=signal.name,
                value=signal.value,
                rank=signal.rank,
                weight=signal.weight,
                contribution=signal.contribution,
            )
            for signal in passage.signals
        ],
        attributes=passage.attributes,
    )


def _passage_from(message: gateway_pb2.GatewayPassage) -> Passage:
    span = message.span
    chunk = Chunk(
        ChunkId(message.chunk_id),
        DocumentId(message.document_id),
        message.ordinal,
        message.text,
        span.start_character,
        span.end_character,
        tuple(span.headings),
        message.language,
    )
    return Passage(
        chunk,
        CollectionName(message.collection),
        message.title,
        message.uri,
        message.score,
        tuple(Signal(s.name, s.value, s.rank, s.weight, s.contribution) for s in message.signals),
        dict(message.attributes),
    )


def _tier(tier: Tier | None) -> models_pb2.ModelTier.ValueType:
    return models_pb2.MODEL_TIER_UNSPECIFIED if tier is None else TIERS[tier]


def _constraints_message(value: Constraints) -> models_pb2.ModelConstraints:
    return models_pb2.ModelConstraints(
        max_cost=values.money(value.max_cost, ""),
        latency_objective=values.duration(value.latency_objective),
        tier=_tier(value.tier),
        residency=value.residency,
        labels=sorted(value.labels),
    )


def _constraints_from(message: models_pb2.ModelConstraints) -> Constraints:
    objective = message.latency_objective if message.HasField("latency_objective") else None
    return Constraints(
        max_cost=Decimal(message.max_cost.amount) if message.HasField("max_cost") else None,
        latency_objective=None if objective is None else values.seconds(objective),
        tier=TIERS_BACK.get(message.tier),
        residency=message.residency,
        labels=frozenset(message.labels),
    )


def _options_message(value: GenerationOptions) -> gateway_pb2.GatewayOptions:
    effort = value.reasoning_effort
    return gateway_pb2.GatewayOptions(
        temperature=value.temperature,
        top_p=value.top_p,
        max_output_tokens=value.max_output_tokens,
        stop=value.stop,
        seed=value.seed,
        response_schema=value.response_schema,
        tool_choice=value.tool_choice.value,
        chosen_tool=value.chosen_tool,
        tools=map(_tool_message, value.tools),
        parallel_tool_calls=value.parallel_tool_calls,
        logprobs=value.logprobs,
        reasoning_effort=effort.value if effort else "",
        cache_key=value.cache_key,
        reasoning_tokens=value.reasoning_tokens,
    )


def _options_from(message: gateway_pb2.GatewayOptions) -> GenerationOptions:
    given = message.HasField
    options = GenerationOptions(
        stop=tuple(message.stop),
        response_schema=message.response_schema,
        tool_choice=ToolChoice(message.tool_choice) if message.tool_choice else ToolChoice.AUTO,
        chosen_tool=message.chosen_tool,
        tools=_tools_from(message.tools),
        cache_key=message.cache_key,
    )
    effort = message.reasoning_effort
    return replace(
        options,
        temperature=message.temperature if given("temperature") else None,
        top_p=message.top_p if given("top_p") else None,
        max_output_tokens=message.max_output_tokens if given("max_output_tokens") else None,
        seed=message.seed if given("seed") else None,
        parallel_tool_calls=(message.parallel_tool_calls if given("parallel_tool_calls") else None),
        logprobs=message.logprobs if given("logprobs") else None,
        reasoning_effort=ReasoningEffort(effort) if effort else None,
        reasoning_tokens=message.reasoning_tokens if given("reasoning_tokens") else None,
    )


def _tool_message(tool: ToolDefinition) -> gateway_pb2.GatewayTool:
    return gateway_pb2.GatewayTool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )


def _tools_from(messages: Sequence[gateway_pb2.GatewayTool]) -> tuple[ToolDefinition, ...]:
    return tuple(
        ToolDefinition(each.name, each.description, each.parameters, each.strict)
        for each in messages
    )
