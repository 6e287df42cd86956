"""What happens in a generation, between two processes of ours: every event, back and forth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.grpc import values
from adapters.grpc.gateway_catalog import (
    amount,
    decision_from,
    decision_message,
    deployment_from,
    deployment_message,
    exact,
)
from colonnade.v1 import gateway_events_pb2 as events_pb2
from core.generation import (
    AnswerOrigin,
    LogProbabilities,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    SourceCited,
    StopCause,
    TextDelta,
    TokenLogProbability,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import DeploymentName
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    Restarted,
    Routed,
    Selected,
    Spent,
    Switched,
)

Wire = events_pb2.RunGenerationResponse


def event_message(event: GatewayEvent) -> Wire:
    """The event as it travels."""
    return _WRITERS[type(event)](event)


def event_from(message: Wire) -> GatewayEvent | None:
    """The same, back; None for a kind that came later than we."""
    kind = message.WhichOneof("event")
    return None if kind is None else _READERS[kind](getattr(message, kind))


def _selected(event: Selected) -> Wire:
    return Wire(
        selected=events_pb2.GatewaySelected(
            deployment=deployment_message(event.deployment),
            attempt=event.attempt,
            prompt_tokens=event.prompt_tokens,
            dropped=event.dropped,
            continues=event.continues,
        )
    )


def _selected_from(message: events_pb2.GatewaySelected) -> Selected:
    return Selected(
        deployment_from(message.deployment),
        message.attempt,
        message.prompt_tokens,
        tuple(message.dropped),
        message.continues,
    )


def _switched(event: Switched) -> Wire:
    return Wire(
        switched=events_pb2.GatewaySwitched(
            failed=event.failed, next=event.next, attempt=event.attempt, cause=event.cause
        )
    )


def _switched_from(message: events_pb2.GatewaySwitched) -> Switched:
    failed, following = DeploymentName(message.failed), DeploymentName(message.next)
    return Switched(failed, following, message.attempt, message.cause)


def _origin(event: AnswerOrigin) -> Wire:
    return Wire(
        origin=events_pb2.GatewayOrigin(
            response_id=event.response_id, model=event.model, fingerprint=event.fingerprint
        )
    )


def _tool_call(event: ToolCallDelta) -> Wire:
    return Wire(
        tool_call=events_pb2.GatewayToolCall(
            index=event.index,
            call_id=event.call_id,
            tool=event.tool,
            arguments=event.arguments,
        )
    )


def _logprobs(event: LogProbabilities) -> Wire:
    tokens = map(_logprob, event.tokens)
    return Wire(logprobs=events_pb2.GatewayLogprobs(tokens=tokens, refusal=event.refusal))


def _logprob(value: TokenLogProbability) -> events_pb2.GatewayLogprob:
    return events_pb2.GatewayLogprob(
        token=value.token,
        logprob=value.logprob,
        encoded=value.encoded,
        alternatives=map(_logprob, value.alternatives),
    )


def _logprob_from(message: events_pb2.GatewayLogprob) -> TokenLogProbability:
    return TokenLogProbability(
        message.token,
        message.logprob,
        message.encoded if message.HasField("encoded") else None,
        tuple(map(_logprob_from, message.alternatives)),
    )


def _source(event: SourceCited) -> Wire:
    return Wire(
        source=events_pb2.GatewaySource(
            uri=event.uri, title=event.title, quote=event.quote, start=event.start, end=event.end
        )
    )


def _source_from(message: events_pb2.GatewaySource) -> SourceCited:
    return SourceCited(
        message.uri,
        message.title,
        message.quote,
        message.start if message.HasField("start") else None,
        message.end if message.HasField("end") else None,
    )


def _completed(event: Completed) -> Wire:
    last = Spent(event.usage, event.cost, 1, event.estimated)
    return Wire(
        completed=events_pb2.GatewayCompleted(
            cause=event.cause.value,
            deployment=deployment_message(event.deployment),
            attempt=event.attempt,
            last=_spent(last),
            spent=None if event.spent is None else _spent(event.spent),
            currency=event.currency,
            cached=event.cached,
            stop_sequence=event.stop_sequence,
        )
    )


def _completed_from(message: events_pb2.GatewayCompleted) -> Completed:
    last = _spent_from(message.last)
    return Completed(
        cause=StopCause(message.cause),
        deployment=deployment_from(message.deployment),
        attempt=message.attempt,
        usage=last.usage,
        estimated=last.estimated,
        cost=last.cost,
        currency=message.currency,
        spent=_spent_from(message.spent) if message.HasField("spent") else None,
        cached=message.cached,
        stop_sequence=message.stop_sequence,
    )


def _spent(value: Spent) -> events_pb2.GatewaySpent:
    return events_pb2.GatewaySpent(
        usage=values.usage(value.usage, estimated=value.estimated),
        cache_write_tokens=value.usage.cache_write,
        cost=exact(value.cost),
        attempts=value.attempts,
        saved=exact(value.saved),
    )


def _spent_from(message: events_pb2.GatewaySpent) -> Spent:
    read = values.tokens(message.usage)
    usage = TokenUsage(
        read.prompt,
        read.completion,
        read.cached_prompt,
        read.reasoning,
        message.cache_write_tokens if message.HasField("cache_write_tokens") else None,
    )
    return Spent(
        usage,
        amount(message.cost),
        message.attempts,
        message.usage.estimated,
        amount(message.saved),
    )


_WRITERS: dict[type[Any], Callable[..., Wire]] = {
    TextDelta: lambda e: Wire(text=e.text),
    ReasoningDelta: lambda e: Wire(reasoning=e.text),
    RefusalDelta: lambda e: Wire(refusal=e.text),
    Routed: lambda e: Wire(routed=decision_message(e.decision)),
    Selected: _selected,
    Switched: _switched,
    Restarted: lambda e: Wire(
        restarted=events_pb2.GatewayRestarted(failed=e.failed, cause=e.cause)
    ),
    AnswerOrigin: _origin,
    ReasoningSealed: lambda e: Wire(sealed=events_pb2.GatewaySealed(seal=e.seal, wire=e.wire)),
    ToolCallDelta: _tool_call,
    LogProbabilities: _logprobs,
    SourceCited: _source,
    Completed: _completed,
}
_READERS: dict[str, Callable[..., GatewayEvent]] = {
    "text": TextDelta,
    "reasoning": ReasoningDelta,
    "refusal": RefusalDelta,
    "routed": lambda m: Routed(decision_from(m)),
    "selected": _selected_from,
    "switched": _switched_from,
    "restarted": lambda m: Restarted(DeploymentName(m.failed), m.cause),
    "origin": lambda m: AnswerOrigin(m.response_id, m.model, m.fingerprint),
    "sealed": lambda m: ReasoningSealed(m.seal, m.wire),
    "tool_call": lambda m: ToolCallDelta(m.index, m.call_id, m.tool, m.arguments),
    "logprobs": lambda m: LogProbabilities(tuple(map(_logprob_from, m.tokens)), m.refusal),
    "source": _source_from,
    "completed": _completed_from,
}
