"""What came of one answer, put together: the same for every provider."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from core.generation import (
    AnswerOrigin,
    GenerationRequest,
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    SourceCited,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import Seconds
from core.ports.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was proposed; `arguments` is what its JSON means, else its text."""

    tool: str
    arguments: object


@dataclass(frozen=True, slots=True)
class Heard:
    """All of an answer, or what came of it before its error."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Called, ...] = ()
    cause: StopCause | None = None
    usage: TokenUsage = TokenUsage()
    error: ModelErrorKind | None = None
    retry_after: float | None = field(default=None, compare=False)
    origin: AnswerOrigin = field(default_factory=AnswerOrigin, compare=False)
    seals: tuple[str, ...] = field(default=(), compare=False)
    sources: tuple[SourceCited, ...] = field(default=(), compare=False)
    tokens: tuple[str, ...] = field(default=(), compare=False)
    call_ids: tuple[str, ...] = field(default=(), compare=False)


async def heard(model: LanguageModel, request: GenerationRequest) -> Heard:
    """Asks, and listens to the end."""
    events: list[ModelEvent] = []
    error: ModelError | None = None
    try:
        async with aclosing(model.stream(request, timeout=Seconds(10))) as stream:
            async for event in stream:
                events.append(event)
    except ModelError as raised:
        error = raised
    result = put_together(events)
    if error is None:
        assert isinstance(events[-1], ModelFinished)
        return result
    return replace(result, error=error.kind, retry_after=error.retry_after)


def put_together(events: Iterable[ModelEvent]) -> Heard:
    """One value of many events."""
    events = list(events)
    calls, ids = calls_of(events)
    finished = [event for event in events if isinstance(event, ModelFinished)]
    origins = [event for event in events if isinstance(event, AnswerOrigin)]
    return Heard(
        text="".join(event.text for event in events if isinstance(event, TextDelta)),
        reasoning="".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        refusal="".join(event.text for event in events if isinstance(event, RefusalDelta)),
        calls=calls,
        cause=finished[0].cause if finished else None,
        usage=finished[0].usage if finished else TokenUsage(),
        origin=origins[0] if origins else AnswerOrigin(),
        seals=tuple(event.seal for event in events if isinstance(event, ReasoningSealed)),
        sources=tuple(event for event in events if isinstance(event, SourceCited)),
        tokens=tuple(
            token.token
            for event in events
            if isinstance(event, LogProbabilities)
            for token in event.tokens
        ),
        call_ids=ids,
    )


def calls_of(events: Iterable[ModelEvent]) -> tuple[tuple[Called, ...], tuple[str, ...]]:
    """The calls in the order of their numbers, and their ids. Names and ids come once, first."""
    begun: list[ToolCallDelta] = []
    arguments: list[str] = []
    for event in events:
        if not isinstance(event, ToolCallDelta):
            continue
        if event.index == len(begun):
            assert event.call_id
            begun.append(event)
            arguments.append(event.arguments)
        else:
            assert event.index < len(begun)
            assert (event.call_id, event.tool) == ("", "")
            arguments[event.index] += event.arguments
    calls = zip(begun, arguments, strict=True)
    made = tuple(Called(call.tool, meaning(said)) for call, said in calls)
    return made, tuple(call.call_id for call in begun)


def meaning(arguments: str) -> object:
    """The value of JSON text; the text itself where it is none; nothing means no arguments."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
