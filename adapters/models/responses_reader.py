"""Reads an answer of POST /responses, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import JsonValue, TypeAdapter, ValidationError

from adapters.models.openai_chunks import token
from adapters.models.provider_errors import read_error
from adapters.models.responses_event import (
    EVENT,
    WHOLE,
    Annotation,
    Content,
    Event,
    Item,
    Response,
    Usage,
)
from adapters.models.responses_request import WIRE
from adapters.models.tool_names import ToolNames, new_call_id
from adapters.models.wire import invalid, malformed
from core.generation import (
    AnswerOrigin,
    LogProbabilities,
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

_INCOMPLETE = {
    "max_output_tokens": StopCause.LENGTH,
    "content_filter": StopCause.CONTENT_FILTER,
}
"""Why a response is incomplete. Any other reason is an error: the answer may have been cut."""

_ANY = TypeAdapter[JsonValue](JsonValue)


class ResponseReader:
    """Reads one answer's events, in order; items of the provider's own tools are passed over."""

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._calls: dict[int, int] = {}  # number of the item: number of the call
        self._argued: set[int] = set()
        self._thoughts = False
        self._response: Response | None = None
        self.origin = AnswerOrigin()
        self.ended = False

    def read(self, data: bytes, type: str = "") -> list[ModelEvent]:
        """See AnswerReader. The end is an event that carries the whole response."""
        if data == b"[DONE]":
            return []
        try:
            event = EVENT.validate_json(data)
            if type == "error" or event.type == "error":
                raise read_error(None, _ANY.validate_json(data))
        except ValidationError as error:
            raise invalid(error) from None
        return list(self._happened(event))

    def read_whole(self, body: bytes) -> list[ModelEvent]:
        """See AnswerReader."""
        try:
            response = WHOLE.validate_json(body)
        except ValidationError as error:
            raise invalid(error) from None
        self._end(response)
        events: list[ModelEvent] = []
        for number, item in enumerate(response.output or ()):
            events += self._whole(number, item)
        return events

    def finish(self) -> ModelFinished:
        """See AnswerReader."""
        response = self._response
        if response is None:
            raise malformed("it ended without a finished response")
        if response.error is not None or response.status == "failed":
            raise read_error(None, {"error": response.error})
        usage = _counts(response.usage or Usage())
        if response.status in ("completed", "complete"):
            return ModelFinished(StopCause.TOOL_CALLS if self._calls else StopCause.STOP, usage)
        reason = response.incomplete_details.reason if response.incomplete_details else None
        cause = _INCOMPLETE.get(reason or "")
        if response.status != "incomplete" or cause is None:
            told = f"{response.status or 'without a status'}, {reason or 'without a reason'}"
            raise malformed(f"the response is {told[:80]}")
        return ModelFinished(cause, usage)

    def _happened(self, event: Event) -> Iterable[ModelEvent]:
        match event.type:
            case "response.function_call_arguments.delta":
                return self._argue(event.output_index, event.said)
            case "response.output_text.annotation.added" if event.annotation is not None:
                return _cited([event.annotation])
            case "response.output_item.added" if event.item is not None:
                return self._began(event.output_index, event.item)
            case "response.output_item.done" if event.item is not None:
                return self._ended(event.output_index, event.item)
            case "response.created" if event.response is not None:
                self.origin = AnswerOrigin(event.response.id, event.response.model)
            case "response.completed" | "response.incomplete" | "response.failed":
                self._end(event.response)
            case _:
                return self._said(event)
        return ()

    def _said(self, event: Event) -> Iterable[ModelEvent]:
        match event.type:
            case "response.output_text.delta":
                yield from _text(event.said)
                yield from _logprobs(event)
            case "response.refusal.delta" if event.said:
                yield RefusalDelta(event.said)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._thoughts = True
                yield from [ReasoningDelta(event.said)] if event.said else ()
            case "response.reasoning_summary_part.added" if self._thoughts:
                yield ReasoningDelta("\n\n")

    def _end(self, response: Response | None) -> None:
        self._response = response
        self.ended = True
        if response is not None:
            self.origin = AnswerOrigin(response.id, response.model)

    def _began(self, number: int, item: Item) -> Iterable[ModelEvent]:
        if item.type == "function_call":
            if number in self._calls:
                raise malformed(f"item {number} began twice")
            at = self._calls[number] = len(self._calls)
            tool = self._names.back(item.name or "")
            yield ToolCallDelta(at, item.call_id or item.id or new_call_id(), tool)

    def _argue(self, number: int, text: str) -> Iterable[ModelEvent]:
        if number in self._calls and text:
            self._argued.add(number)
            yield ToolCallDelta(self._calls[number], arguments=text)

    def _ended(self, number: int, item: Item) -> Iterable[ModelEvent]:
        """An item is whole: what came of it before does not come again."""
        if item.type == "function_call":
            if number not in self._calls:
                yield from self._began(number, item)
            if number not in self._argued and item.arguments:
                yield from self._argue(number, item.arguments)
        if item.type == "reasoning":
            self._thoughts = False
            yield from [_seal(item)] if item.encrypted_content else ()

    def _whole(self, number: int, item: Item) -> Iterable[ModelEvent]:
        if item.type == "message":
            for content in item.content or ():
                yield from _content(content)
        if item.type == "reasoning":
            told = item.summary or item.content or ()
            thoughts = "\n\n".join(part.text for part in told if part.text)
            yield from [ReasoningDelta(thoughts)] if thoughts else ()
        yield from self._ended(number, item)


def _content(content: Content) -> Iterable[ModelEvent]:
    yield from _text(content.text or "")
    if content.refusal:
        yield RefusalDelta(content.refusal)
    if content.logprobs:
        yield LogProbabilities(tuple(map(token, content.logprobs)))
    yield from _cited(content.annotations or ())


def _text(text: str) -> Iterable[ModelEvent]:
    if text:
        yield TextDelta(text)


def _logprobs(event: Event) -> Iterable[ModelEvent]:
    if event.logprobs:
        yield LogProbabilities(tuple(map(token, event.logprobs)))


def _cited(annotations: Iterable[Annotation]) -> Iterable[ModelEvent]:
    for one in annotations:
        if one.type in ("url_citation", "file_citation"):
            title = one.title or one.filename or ""
            yield SourceCited(one.url or "", title, "", one.start_index, one.end_index)


def _seal(item: Item) -> ModelEvent:
    """The thoughts as they go back: with their id and summary, as the provider wants them."""
    summary = [{"type": "summary_text", "text": part.text or ""} for part in item.summary or ()]
    kept = {
        "type": "reasoning",
        "id": item.id,
        "summary": summary,
        "encrypted_content": item.encrypted_content,
    }
    return ReasoningSealed(json.dumps(kept, ensure_ascii=False), WIRE)


def _counts(usage: Usage) -> TokenUsage:
    read, written = usage.input_tokens_details, usage.output_tokens_details
    return TokenUsage(
        usage.input_tokens,
        usage.output_tokens,
        read.cached_tokens if read else None,
        written.reasoning_tokens if written else None,
    )
