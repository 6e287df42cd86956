"""The chunks of a streamed Chat Completion, as the many servers that speak it send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from adapters.models.openai_errors import read_error
from core.generation import (
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
)

STOP_CAUSES = {
    "stop": StopCause.STOP,
    "eos": StopCause.STOP,
    "eos_token": StopCause.STOP,
    "end_turn": StopCause.STOP,
    "stop_sequence": StopCause.STOP,
    "length": StopCause.LENGTH,
    "max_tokens": StopCause.LENGTH,
    "model_length": StopCause.LENGTH,
    "content_filter": StopCause.CONTENT_FILTER,
    "tool_calls": StopCause.TOOL_CALLS,
    "function_call": StopCause.TOOL_CALLS,
}
"""Finish reasons that end an answer. Any other one is an error: the answer may have been cut."""

_FAILURES = {
    "insufficient_system_resource": ModelErrorKind.OVERLOADED,
    "error": ModelErrorKind.OVERLOADED,
    "abort": ModelErrorKind.CONNECTION,
}

_Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, slots=True)
class _Piece:
    """A part of a message that is a list of typed parts; thoughts nest once more."""

    type: str = ""
    text: str | None = None
    thinking: str | list[_Piece] | None = None


_Content = str | list[_Piece] | None


@checked(frozen=True, slots=True)
class _Delta:
    content: _Content = None
    refusal: str | None = None
    reasoning_content: _Content = None
    reasoning: _Content = None
    thinking: _Content = None


@checked(frozen=True, slots=True)
class _Choice:
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


@checked(frozen=True, slots=True)
class _PromptDetails:
    cached_tokens: _Count | None = None


@checked(frozen=True, slots=True)
class _CompletionDetails:
    reasoning_tokens: _Count | None = None


@checked(frozen=True, slots=True)
class _Usage:
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Count | None = None  # DeepSeek's own name


@checked(frozen=True, slots=True)
class _Timings:
    """What llama.cpp counts by itself; `prompt_n` is without the `cache_n` that it knew."""

    cache_n: _Count = 0
    prompt_n: _Count | None = None
    predicted_n: _Count | None = None


@checked(frozen=True, slots=True)
class _Chunk:
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: JsonValue = None
    object: str | None = None


_CHUNK = TypeAdapter(_Chunk)
_ANY = TypeAdapter[JsonValue](JsonValue)


class AnswerReader:
    """Reads one answer's chunks, in order, and knows at the end whether it was whole."""

    def __init__(self) -> None:
        self._finish: str | None = None
        self._usage = TokenUsage()

    def read(self, chunk: bytes, *, is_error: bool = False) -> list[ModelEvent]:
        """What this chunk adds to the answer; empty pieces add nothing.

        `is_error` says that the transport marks it as an error. Raises ModelError: what the
        server says in an error object, MALFORMED_STREAM where the chunk is none.
        """
        try:
            read = _CHUNK.validate_json(chunk)
            if is_error or read.error is not None or read.object == "error":
                raise read_error(None, _ANY.validate_json(chunk))
        except ValidationError as error:
            raise _malformed(_cause(error)) from None
        self._usage = _usage(read, self._usage)
        events: list[ModelEvent] = []
        for choice in read.choices or ():
            if not choice.index:
                self._finish = choice.finish_reason or self._finish
                events += _events(choice.delta) if choice.delta else ()
        return events

    @property
    def is_finished(self) -> bool:
        """Whether the server has said why it stopped; its usage may still follow."""
        return self._finish is not None

    def finish(self) -> ModelFinished:
        """The last event. Raises ModelError where the stream ended before the answer did."""
        if self._finish is None:
            raise _malformed("it ended without a finish reason")
        if self._finish in _FAILURES:
            raise ModelError(
                _FAILURES[self._finish], f"the provider broke off the answer ({self._finish})"
            )
        cause = STOP_CAUSES.get(self._finish)
        if cause is None:
            raise _malformed(f"the finish reason {self._finish[:40]!r} is unknown")
        return ModelFinished(cause, self._usage)


def joined(events: Sequence[ModelEvent]) -> list[ModelEvent]:
    """The same events with neighbours of one kind made one: what arrives together stays so."""
    result: list[ModelEvent] = []
    for event in events:
        match result[-1] if result else None, event:
            case TextDelta(before), TextDelta(text):
                result[-1] = TextDelta(before + text)
            case ReasoningDelta(before), ReasoningDelta(text):
                result[-1] = ReasoningDelta(before + text)
            case RefusalDelta(before), RefusalDelta(text):
                result[-1] = RefusalDelta(before + text)
            case _:
                result.append(event)
    return result


def _events(delta: _Delta) -> list[ModelEvent]:
    thoughts = delta.reasoning_content or delta.reasoning or delta.thinking
    made: list[tuple[Callable[[str], ModelEvent], str]] = [
        (ReasoningDelta, _text(thoughts) + _thoughts(delta.content)),
        (TextDelta, _text(delta.content)),
        (RefusalDelta, delta.refusal or ""),
    ]
    return [event(text) for event, text in made if text]


def _text(content: _Content) -> str:
    if isinstance(content, list):
        return "".join(piece.text or "" for piece in content)
    return content or ""


def _thoughts(content: _Content) -> str:
    """The thoughts among the parts of a content that is a list."""
    if not isinstance(content, list):
        return ""
    return "".join(_text(piece.thinking) for piece in content)


def _usage(chunk: _Chunk, before: TokenUsage) -> TokenUsage:
    """The newest counts: servers that send them often send running totals."""
    usage, timings = chunk.usage, chunk.timings
    if usage is not None:
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        cached = prompt.cached_tokens if prompt else None
        return TokenUsage(
            prompt=usage.prompt_tokens,
            completion=usage.completion_tokens,
            cached_prompt=usage.prompt_cache_hit_tokens if cached is None else cached,
            reasoning=completion.reasoning_tokens if completion else None,
        )
    if timings is not None and timings.prompt_n is not None and before == TokenUsage():
        return TokenUsage(
            prompt=timings.cache_n + timings.prompt_n,
            completion=timings.predicted_n,
            cached_prompt=timings.cache_n,
        )
    return before


def _malformed(cause: str) -> ModelError:
    return ModelError(
        ModelErrorKind.MALFORMED_STREAM, f"the provider's stream cannot be used: {cause}"
    )


def _cause(error: ValidationError) -> str:
    """The cause without the chunk's own content, which may be long and is not ours to show."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'a chunk'}: {first['msg']}"[:200]
