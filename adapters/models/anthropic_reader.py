"""Reads an answer of POST /messages: its blocks as they open, grow and close."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from pydantic import JsonValue, TypeAdapter, ValidationError

from adapters.models.anthropic_event import EVENT, WHOLE, Block, Citation, Delta, Event, Usage
from adapters.models.anthropic_request import WIRE
from adapters.models.provider_errors import read_error
from adapters.models.tool_names import ToolNames
from adapters.models.wire import invalid, malformed
from core.generation import (
    AnswerOrigin,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    ReasoningSealed,
    SourceCited,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)

STOP_CAUSES = {
    "end_turn": StopCause.STOP,
    "stop_sequence": StopCause.STOP,
    "max_tokens": StopCause.LENGTH,
    "model_context_window_exceeded": StopCause.LENGTH,
    "pause_turn": StopCause.LENGTH,  # a long turn of the provider's own tools is not over
    "tool_use": StopCause.TOOL_CALLS,
    "refusal": StopCause.CONTENT_FILTER,
}
"""Stop reasons that end an answer. Any other one is an error: the answer may have been cut."""

_ANY = TypeAdapter[JsonValue](JsonValue)


class MessageReader:
    """Reads one answer's events, in order; blocks of the provider's own tools are passed over.

    The output's count that comes with the first event is a beginning, and no figure.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._type = ""  # of the block that is open
        self._signature = ""
        self._cited: list[Citation] = []
        self._began = 0  # where the open block's text begins in the answer's
        self._length = 0
        self._calls = -1
        self._stop: str | None = None
        self._sequence = ""
        self._usage = Usage()
        self.origin = AnswerOrigin()
        self.ended = False

    def read(self, data: bytes, type: str = "") -> list[ModelEvent]:
        """See AnswerReader."""
        try:
            event = EVENT.validate_json(data)
            if event.type == "error" or type == "error":
                raise read_error(None, _ANY.validate_json(data))
        except ValidationError as error:
            raise invalid(error) from None
        return self._happened(event)

    def read_whole(self, body: bytes) -> list[ModelEvent]:
        """See AnswerReader."""
        try:
            said = _ANY.validate_json(body)
            if isinstance(said, dict) and said.get("type") == "error":
                raise read_error(None, said)
            message = WHOLE.validate_json(body)
        except ValidationError as error:
            raise invalid(error) from None
        self.ended = True
        self.origin = AnswerOrigin(message.id, message.model)
        self._stop, self._sequence = message.stop_reason, message.stop_sequence or ""
        self._usage = message.usage or Usage()
        made: list[ModelEvent] = []
        for block in message.content or ():
            made += [*self._open(block), *self._close()]
        return made

    def finish(self) -> ModelFinished:
        """See AnswerReader. The format marks its end, and says before that why it ended."""
        if self._stop is None:
            raise malformed("it ended without a stop reason")
        cause = STOP_CAUSES.get(self._stop)
        if cause is None:
            raise malformed(f"the stop reason {self._stop[:40]!r} is unknown")
        if not self.ended:
            raise malformed("it ended without message_stop")
        return ModelFinished(cause, _counts(self._usage), self._sequence)

    def _happened(self, event: Event) -> list[ModelEvent]:
        if event.usage is not None:
            self._usage = _newer(self._usage, event.usage)
        match event.type:
            case "message_start" if event.message is not None:
                self.origin = AnswerOrigin(event.message.id, event.message.model)
                self._usage = replace(event.message.usage or Usage(), output_tokens=None)
            case "content_block_start" if event.content_block is not None:
                return self._open(event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._grow(event.delta)
            case "content_block_stop":
                return self._close()
            case "message_delta" if event.delta is not None:
                self._stop = event.delta.stop_reason or self._stop
                self._sequence = event.delta.stop_sequence or self._sequence
            case "message_stop":
                self.ended = True
        return []  # pings, and events that are not known yet

    def _open(self, block: Block) -> list[ModelEvent]:
        self._type, self._signature = block.type, block.signature or ""
        self._cited = list(block.citations or ())
        self._began = self._length
        match block.type:
            case "text":
                return self._text(block.text)
            case "thinking":
                return _thought(block.thinking)
            case "redacted_thinking":
                seal = {"type": "redacted_thinking", "data": block.data or ""}
                return [ReasoningSealed(json.dumps(seal), WIRE)]
            case "tool_use":
                return self._call(block)
        return []

    def _grow(self, delta: Delta) -> list[ModelEvent]:
        match self._type, delta.type:
            case "text", "text_delta":
                return self._text(delta.text)
            case "thinking", "thinking_delta":
                return _thought(delta.thinking)
            case "thinking", "signature_delta":
                self._signature += delta.signature or ""
            case "tool_use", "input_json_delta" if delta.partial_json:
                return [ToolCallDelta(self._calls, arguments=delta.partial_json)]
            case _, "citations_delta" if delta.citation is not None:
                self._cited.append(delta.citation)
        return []

    def _close(self) -> list[ModelEvent]:
        closed, self._type = self._type, ""
        if closed == "thinking" and self._signature:
            seal = {"type": "thinking", "signature": self._signature}
            return [ReasoningSealed(json.dumps(seal), WIRE)]
        if closed == "text":
            return list(self._sources(self._cited))
        return []

    def _text(self, text: str | None) -> list[ModelEvent]:
        self._length += len(text or "")
        return [TextDelta(text)] if text else []

    def _call(self, block: Block) -> list[ModelEvent]:
        """A call begins, with no arguments yet, or with all of them in a whole message."""
        self._calls += 1
        arguments = _ANY.dump_json(block.input).decode() if block.input else ""
        tool = self._names.back(block.name or "")
        return [ToolCallDelta(self._calls, block.id or "", tool, arguments)]

    def _sources(self, cited: Iterable[Citation]) -> Iterable[ModelEvent]:
        """The sources of a block of text: they stand for all of it."""
        for one in cited:
            uri = one.url or one.source or ""
            title = one.title or one.document_title or ""
            yield SourceCited(uri, title, one.cited_text or "", self._began, self._length)


def _thought(text: str | None) -> list[ModelEvent]:
    return [ReasoningDelta(text)] if text else []


def _newer(before: Usage, said: Usage) -> Usage:
    """Running totals, of which a later event need not repeat all."""

    def last(old: int | None, new: int | None) -> int | None:
        return old if new is None else new

    return Usage(
        last(before.input_tokens, said.input_tokens),
        last(before.output_tokens, said.output_tokens),
        last(before.cache_read_input_tokens, said.cache_read_input_tokens),
        last(before.cache_creation_input_tokens, said.cache_creation_input_tokens),
        said.output_tokens_details or before.output_tokens_details,
    )


def _counts(usage: Usage) -> TokenUsage:
    """The prompt is all that was read: its three parts together."""
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    prompt = usage.input_tokens
    if prompt is not None:
        prompt += (cached or 0) + (written or 0)
    details = usage.output_tokens_details
    reasoning = details.thinking_tokens if details else None
    return TokenUsage(prompt, usage.output_tokens, cached, reasoning, written)
