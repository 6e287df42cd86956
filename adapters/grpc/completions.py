"""What a model says, as the answer of `Generate` and as the pieces of `StreamGenerate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.grpc import values
from adapters.grpc.catalog_messages import routing
from adapters.grpc.tool_messages import ProposedCalls
from colonnade.v1 import messages_pb2, models_pb2, tokens_pb2, turns_pb2
from core.call import Call
from core.generation import (
    LogProbabilities,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenLogProbability,
    ToolCallDelta,
)
from core.ports.model_gateway import Completed, GatewayEvent, Restarted, Routed, Spent
from core.routing import RoutingDecision

_REASONS = {
    StopCause.STOP: turns_pb2.FINISH_REASON_STOP,
    StopCause.TOOL_CALLS: turns_pb2.FINISH_REASON_TOOL_CALLS,
    StopCause.LENGTH: turns_pb2.FINISH_REASON_LENGTH,
    StopCause.CONTENT_FILTER: turns_pb2.FINISH_REASON_CONTENT_FILTER,
}


@dataclass(slots=True)
class WholeCompletion:
    """The answer in one message, from the events as they come."""

    call: Call
    response: models_pb2.GenerateResponse = field(default_factory=models_pb2.GenerateResponse)
    _said: list[str | int | messages_pb2.Part] = field(default_factory=list)
    """Text, the numbers of calls where they began, and parts that are ready."""
    _thoughts: list[str] = field(default_factory=list)
    _calls: ProposedCalls = field(default_factory=ProposedCalls)

    def hear(self, event: GatewayEvent) -> None:
        """This came."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                self._said.append(text)
            case ReasoningDelta(text):
                self._thoughts.append(text)
            case ReasoningSealed(seal, wire):
                thoughts = _thoughts("".join(self._thoughts), seal, wire)
                self._said.append(messages_pb2.Part(thoughts=thoughts))
                self._thoughts.clear()
            case ToolCallDelta():
                if any(piece.HasField("begun") for piece in self._calls.hear(event)):
                    self._said.append(event.index)
            case LogProbabilities():
                self.response.logprobs.extend(_logprobs(event))
            case Restarted():
                self._begin_anew()
            case Routed(decision):
                self.response.routing.CopyFrom(routing(decision))
            case Completed():
                _end(self.response, event, self.call)
                self._finish()

    def _begin_anew(self) -> None:
        self._said.clear()
        self._thoughts.clear()
        self._calls = ProposedCalls()
        self.response.ClearField("logprobs")

    def _finish(self) -> None:
        self.call.facts.tool_calls = self._calls.names()
        parts = list(self._parts()) or [messages_pb2.Part(text="")]
        message = messages_pb2.Message(role=messages_pb2.ROLE_ASSISTANT, parts=parts)
        self.response.message.CopyFrom(message)

    def _parts(self) -> Iterator[messages_pb2.Part]:
        """What was said, in order; neighbouring pieces of text are one part."""
        text: list[str] = []
        for said in self._said:
            if isinstance(said, str):
                text.append(said)
                continue
            if text:
                yield messages_pb2.Part(text="".join(text))
                text.clear()
            yield self._calls.part(said) if isinstance(said, int) else said
        if text:
            yield messages_pb2.Part(text="".join(text))


@dataclass(slots=True)
class CompletionPieces:
    """The messages of a stream, from the events as they come."""

    call: Call
    _decision: RoutingDecision | None = None
    _calls: ProposedCalls = field(default_factory=ProposedCalls)

    def of(self, event: GatewayEvent) -> models_pb2.StreamGenerateResponse | None:
        """What is sent for this event; None where nothing is."""
        if isinstance(event, Routed):
            self._decision = event.decision
            return None
        piece = self._piece(event)
        if piece is not None and self._decision is not None:
            piece.routing.CopyFrom(routing(self._decision))
            self._decision = None
        return piece

    def _piece(self, event: GatewayEvent) -> models_pb2.StreamGenerateResponse | None:
        model = self.call.facts.model_version
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return models_pb2.StreamGenerateResponse(text=text, model=model)
            case ReasoningDelta(text):
                return models_pb2.StreamGenerateResponse(reasoning=text)
            case ReasoningSealed(seal, wire):
                return models_pb2.StreamGenerateResponse(sealed=_thoughts("", seal, wire))
            case ToolCallDelta():
                calls = self._calls.hear(event)
                return models_pb2.StreamGenerateResponse(tool_calls=calls, model=model)
            case LogProbabilities():
                return models_pb2.StreamGenerateResponse(logprobs=_logprobs(event))
            case Completed():
                response = models_pb2.StreamGenerateResponse()
                _end(response, event, self.call)
                self.call.facts.tool_calls = self._calls.names()
                response.tool_calls.extend(self._calls.complete(event.cause))
                return response
            case _:
                return None


def _thoughts(text: str, seal: str, wire: str) -> messages_pb2.Thoughts:
    return messages_pb2.Thoughts(text=text, seal=seal, format=wire)


def _logprobs(event: LogProbabilities) -> Iterator[tokens_pb2.TokenLogprob]:
    for token in event.tokens:
        yield tokens_pb2.TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            encoded=token.encoded,
            alternatives=map(_alternative, token.alternatives),
            refusal=event.refusal,
        )


def _alternative(token: TokenLogProbability) -> tokens_pb2.TokenAlternative:
    return tokens_pb2.TokenAlternative(
        token=token.token, logprob=token.logprob, encoded=token.encoded
    )


def _end(
    response: models_pb2.GenerateResponse | models_pb2.StreamGenerateResponse,
    event: Completed,
    call: Call,
) -> None:
    """Write how it ended, and what all attempts came to."""
    spent = event.spent or Spent(event.usage, event.cost, 1, event.estimated)
    used, cost = spent.usage, values.money(spent.cost, event.currency)
    call.facts.token_count = (used.prompt or 0) + (used.completion or 0)
    call.facts.cost, call.facts.currency = spent.cost, event.currency
    response.finish_reason = _REASONS[event.cause]
    response.model = event.deployment.name
    response.usage.CopyFrom(values.usage(used, estimated=spent.estimated))
    response.stop_sequence = event.stop_sequence
    if cost is not None:
        response.cost.CopyFrom(cost)
    response.cached = event.cached
    if (saved := values.money(spent.saved, event.currency)) is not None:
        response.saved.CopyFrom(saved)
