"""Reads the chunks of a streamed Chat Completion, as the many servers that speak it send them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json

from adapters.models.call_numbers import CallNumbers
from adapters.models.openai_chunk import (
    CHUNK,
    Annotation,
    Call,
    Choice,
    Chunk,
    Content,
    Delta,
    Function,
    LogProbs,
    Token,
)
from adapters.models.openai_dialects import GENERIC, Dialect
from adapters.models.provider_errors import read_error
from adapters.models.sealed_thoughts import SealedThoughts
from adapters.models.thoughts import ThoughtSplitter
from adapters.models.tool_names import NO_NAMES, ToolNames
from adapters.models.wire import invalid, malformed
from core.generation import (
    AnswerOrigin,
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    SourceCited,
    StopCause,
    TextDelta,
    TokenLogProbability,
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
    "tool_use": StopCause.TOOL_CALLS,
    "function_call": StopCause.TOOL_CALLS,
}
"""Finish reasons that end an answer. Any other one is an error: the answer may have been cut."""

_FAILURES = {
    "insufficient_system_resource": ModelErrorKind.OVERLOADED,
    "error": ModelErrorKind.OVERLOADED,
    "abort": ModelErrorKind.CONNECTION,
}
_END = b"[DONE]"
_APART = {"timings", "x_groq"}
_ANY = TypeAdapter[JsonValue](JsonValue)


class ChunkReader:
    """Reads one answer's chunks, in order, and knows at the end whether it was whole."""

    def __init__(self, dialect: Dialect = GENERIC, names: ToolNames = NO_NAMES) -> None:
        self._calls = CallNumbers(names)
        self._seals = SealedThoughts(dialect)
        self._split: ThoughtSplitter | None = None
        if dialect.thoughts != "fields":
            self._split = ThoughtSplitter(opened=dialect.thoughts == "tags_opened")
        self._finish: str | None = None
        self._usage = TokenUsage()
        self.origin = AnswerOrigin()
        self.ended = False

    def read(self, data: bytes, type: str = "") -> list[ModelEvent]:
        """See AnswerReader. An event's name that is not `error` means nothing."""
        if data == _END or data.strip() == _END:
            self.ended = True
            return []
        try:
            said: JsonValue = from_json(data)
        except ValueError:
            raise malformed("an event is no JSON") from None
        if (text := _only_text(said)) and type != "error" and self.origin.response_id:
            return [*self._seals.close(), *self._said(text)]
        return self._read(said, is_error=type == "error")

    def _read(self, said: JsonValue, *, is_error: bool) -> list[ModelEvent]:
        try:
            read = CHUNK.validate_python(said)
        except ValidationError as error:
            raise invalid(error) from None
        if is_error or read.error is not None or read.object == "error":
            raise read_error(None, said)
        if not self.origin.response_id:
            self._introduce(read)
        self._usage = _usage(read, self._usage)
        events: list[ModelEvent] = []
        for choice in read.choices or ():
            if not choice.index:
                events += self._choice(choice)
        return events

    def read_whole(self, body: bytes) -> list[ModelEvent]:
        """See AnswerReader. A whole completion has a message where a chunk has a delta."""
        self.ended = True
        return self.read(body)

    @property
    def is_finished(self) -> bool:
        """Whether the server has said why it stopped; its usage may still follow."""
        return self._finish is not None

    def finish(self) -> ModelFinished:
        """See AnswerReader. Some servers say `stop` where they propose calls: that is not all."""
        if self._finish is None:
            raise malformed("it ended without a finish reason")
        if self._finish in _FAILURES:
            raise ModelError(
                _FAILURES[self._finish], f"the provider broke off the answer ({self._finish})"
            )
        cause = STOP_CAUSES.get(self._finish)
        if cause is None:
            raise malformed(f"the finish reason {self._finish[:40]!r} is unknown")
        if cause is StopCause.STOP and self._calls:
            cause = StopCause.TOOL_CALLS
        return ModelFinished(cause, self._usage)

    def _introduce(self, read: Chunk) -> None:
        told = (read.id, read.model, read.system_fingerprint)
        self.origin = AnswerOrigin(*(value if isinstance(value, str) else "" for value in told))

    def _choice(self, choice: Choice) -> list[ModelEvent]:
        delta = choice.delta or choice.message
        events = self._delta(delta) if delta is not None else []
        if choice.logprobs is not None:
            events += _logprobs(choice.logprobs)
        if choice.finish_reason and self._finish is None:
            events += [*(self._split.end() if self._split else ()), *self._seals.close()]
        self._finish = choice.finish_reason or self._finish
        return events

    def _delta(self, delta: Delta) -> list[ModelEvent]:
        thoughts = delta.reasoning_content or delta.reasoning or delta.thinking
        thought = _text(thoughts) + _thoughts(delta.content)
        events: list[ModelEvent] = [ReasoningDelta(thought)] if thought else []
        self._seals.think(thought, delta.reasoning_details)
        said = [*self._said(_text(delta.content)), *_refused(delta.refusal)]
        calls = [*self._called(delta.tool_calls, delta.function_call)]
        if said or calls:
            events += self._seals.close()
        return [*events, *said, *calls, *_citations(delta.annotations)]

    def _said(self, text: str) -> Sequence[ModelEvent]:
        if not text:
            return ()
        return self._split.feed(text) if self._split else (TextDelta(text),)

    def _called(
        self, calls: Iterable[Call] | None, old_form: Function | None
    ) -> Iterable[ModelEvent]:
        for call in calls or ():
            yield from self._call(call.index, call.id, call.function)
        if old_form is not None:
            yield from self._call(0, None, old_form)

    def _call(
        self, index: int | None, call_id: str | None, function: Function | None
    ) -> Iterable[ModelEvent]:
        name, arguments = (function.name, function.arguments) if function else (None, None)
        if isinstance(arguments, dict):
            arguments = _ANY.dump_json(arguments).decode()
        return self._calls.take(index, call_id or "", name or "", arguments or "")


def _only_text(said: Any) -> str | None:
    """The text of a chunk that holds nothing else: nearly all do, and a stream has thousands."""
    match said:
        case {"choices": [{"delta": {"content": str() as text} as delta} as choice]}:
            more = choice.get("finish_reason") or choice.get("logprobs") or choice.get("index")
            apart = said.get("usage") or said.get("error") or said.keys() & _APART
            return None if more or apart or len(delta) > 1 else text
    return None


def _refused(text: str | None) -> Sequence[ModelEvent]:
    return (RefusalDelta(text),) if text else ()


def _text(content: Content) -> str:
    if isinstance(content, list):
        return "".join(piece.text or "" for piece in content)
    return content or ""


def _thoughts(content: Content) -> str:
    """The thoughts among the parts of a content that is a list."""
    if not isinstance(content, list):
        return ""
    return "".join(_text(piece.thinking) for piece in content)


def _citations(annotations: Iterable[Annotation] | None) -> Iterable[ModelEvent]:
    for annotation in annotations or ():
        if (cited := annotation.url_citation) is not None:
            yield SourceCited(
                cited.url,
                cited.title or "",
                cited.content or "",
                cited.start_index,
                cited.end_index,
            )


def _logprobs(given: LogProbs) -> list[ModelEvent]:
    lists = ((given.content, False), (given.refusal, True))
    return [LogProbabilities(tuple(map(token, of)), refusal) for of, refusal in lists if of]


def token(given: Token) -> TokenLogProbability:
    """A token of OpenAI's formats."""
    encoded = None if given.bytes is None else bytes(byte & 0xFF for byte in given.bytes)
    alternatives = tuple(map(token, given.top_logprobs or ()))
    return TokenLogProbability(given.token, given.logprob, encoded, alternatives)


def _usage(chunk: Chunk, before: TokenUsage) -> TokenUsage:
    """The newest counts: servers that send them often send running totals."""
    apart = chunk.x_groq.usage if chunk.x_groq else None
    usage, timings = chunk.usage or apart, chunk.timings
    if usage is not None:
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        cached = prompt.cached_tokens if prompt else None
        return TokenUsage(
            prompt=usage.prompt_tokens,
            completion=usage.completion_tokens,
            cached_prompt=usage.prompt_cache_hit_tokens if cached is None else cached,
            reasoning=completion.reasoning_tokens if completion else None,
            cache_write=prompt.cache_write_tokens if prompt else None,
        )
    if timings is not None and timings.prompt_n is not None and before == TokenUsage():
        return TokenUsage(
            prompt=timings.cache_n + timings.prompt_n,
            completion=timings.predicted_n,
            cached_prompt=timings.cache_n,
        )
    return before
