"""Reads an answer of streamGenerateContent, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue, TypeAdapter, ValidationError

from adapters.models.gemini_chunk import CHUNK, Candidate, Grounding, LogProbs, Part, Token, Usage
from adapters.models.gemini_request import WIRE
from adapters.models.provider_errors import read_error
from adapters.models.tool_names import ToolNames, new_call_id
from adapters.models.wire import invalid, malformed
from core.generation import (
    AnswerOrigin,
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    ReasoningSealed,
    SourceCited,
    StopCause,
    TextDelta,
    TokenLogProbability,
    TokenUsage,
    ToolCallDelta,
)

STOP_CAUSES = {
    "STOP": StopCause.STOP,
    "MAX_TOKENS": StopCause.LENGTH,
    "SAFETY": StopCause.CONTENT_FILTER,
    "RECITATION": StopCause.CONTENT_FILTER,
    "LANGUAGE": StopCause.CONTENT_FILTER,
    "BLOCKLIST": StopCause.CONTENT_FILTER,
    "PROHIBITED_CONTENT": StopCause.CONTENT_FILTER,
    "SPII": StopCause.CONTENT_FILTER,
    "MODEL_ARMOR": StopCause.CONTENT_FILTER,
    "IMAGE_SAFETY": StopCause.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": StopCause.CONTENT_FILTER,
}
"""Finish reasons that end an answer. Any other one, such as a malformed call, is an error."""

_ANY = TypeAdapter[JsonValue](JsonValue)


class CandidateReader:
    """Reads one answer's chunks, in order; what tools of the provider's own do is passed over.

    The format has no mark of its end but the end of the body: a finish reason tells that the
    answer was whole, and chunks with counts may follow it.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._calls = 0
        self._text = ""
        self._finish: str | None = None
        self._blocked = ""
        self._usage = TokenUsage()
        self.origin = AnswerOrigin()
        self.ended = False

    def read(self, data: bytes, type: str = "") -> list[ModelEvent]:
        """See AnswerReader."""
        try:
            chunk = CHUNK.validate_json(data)
            if type == "error" or chunk.error is not None:
                raise read_error(None, _ANY.validate_json(data))
        except ValidationError as error:
            raise invalid(error) from None
        if not self.origin.response_id:
            self.origin = AnswerOrigin(chunk.response_id or "", chunk.model_version or "")
        if chunk.usage_metadata is not None:
            self._usage = _counts(chunk.usage_metadata)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._blocked = chunk.prompt_feedback.block_reason
        events: list[ModelEvent] = []
        for candidate in chunk.candidates or ():
            if not candidate.index:
                events += self._candidate(candidate)
        return events

    def read_whole(self, body: bytes) -> list[ModelEvent]:
        """See AnswerReader. A whole response is a chunk, or a list of them without `alt=sse`."""
        self.ended = True
        said = _parsed(body)
        chunks = said if isinstance(said, list) else [said]
        return [event for chunk in chunks for event in self.read(_ANY.dump_json(chunk))]

    def finish(self) -> ModelFinished:
        """See AnswerReader."""
        if self._finish is None and self._blocked:
            raise ModelError(
                ModelErrorKind.CONTENT_FILTERED,
                f"the provider refused the prompt for its content ({self._blocked[:40]})",
            )
        if self._finish is None:
            raise malformed("it ended without a finish reason")
        cause = STOP_CAUSES.get(self._finish)
        if cause is None:
            raise malformed(f"the finish reason is {self._finish[:40]!r}")
        if cause is StopCause.STOP and self._calls:
            cause = StopCause.TOOL_CALLS
        return ModelFinished(cause, self._usage)

    def _candidate(self, candidate: Candidate) -> list[ModelEvent]:
        self._finish = candidate.finish_reason or self._finish
        parts = candidate.content.parts if candidate.content else None
        events = [event for part in parts or () for event in self._part(part)]
        if candidate.logprobs_result is not None:
            events += _logprobs(candidate.logprobs_result)
        if candidate.grounding_metadata is not None:
            events += self._sources(candidate.grounding_metadata)
        return events

    def _part(self, part: Part) -> Iterable[ModelEvent]:
        """A piece; its seal is that of the thoughts before it."""
        if part.text and part.thought:
            yield ReasoningDelta(part.text)
        if part.thought_signature:
            yield ReasoningSealed(part.thought_signature, WIRE)
        if part.text and not part.thought:
            self._text += part.text
            yield TextDelta(part.text)
        if (call := part.function_call) is not None:
            arguments = _ANY.dump_json(call.args).decode() if call.args else ""
            tool = self._names.back(call.name)
            yield ToolCallDelta(self._calls, call.id or new_call_id(), tool, arguments)
            self._calls += 1

    def _sources(self, grounding: Grounding) -> Iterable[ModelEvent]:
        """The sources of each span that has some; spans are counted in bytes."""
        chunks = grounding.grounding_chunks or []
        encoded = self._text.encode() if grounding.grounding_supports else b""
        for support in grounding.grounding_supports or ():
            segment = support.segment
            start = end = None
            if segment is not None and segment.end_index is not None:
                start = len(encoded[: segment.start_index].decode(errors="ignore"))
                end = len(encoded[: segment.end_index].decode(errors="ignore"))
            for index in support.grounding_chunk_indices or ():
                if 0 <= index < len(chunks):
                    place = chunks[index].web or chunks[index].retrieved_context
                    if place is not None:
                        told = (place.uri or "", place.title or "", place.text or "")
                        yield SourceCited(*told, start, end)


def _parsed(body: bytes) -> JsonValue:
    try:
        return _ANY.validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None


def _logprobs(given: LogProbs) -> Iterable[ModelEvent]:
    tops = given.top_candidates or []
    tokens = []
    for place, chosen in enumerate(given.chosen_candidates or ()):
        if chosen.token is None or chosen.log_probability is None:
            continue
        others = (tops[place].candidates or ()) if place < len(tops) else ()
        alternatives = tuple(filter(None, map(_token, others)))
        tokens.append(TokenLogProbability(chosen.token, chosen.log_probability, None, alternatives))
    return [LogProbabilities(tuple(tokens))] if tokens else []


def _token(given: Token) -> TokenLogProbability | None:
    if given.token is None or given.log_probability is None:
        return None
    return TokenLogProbability(given.token, given.log_probability)


def _counts(usage: Usage) -> TokenUsage:
    """All that was read, and all that was written: the provider counts their parts apart."""
    prompt, completion = usage.prompt_token_count, usage.candidates_token_count
    if prompt is not None:
        prompt += usage.tool_use_prompt_token_count or 0
    if completion is not None or usage.thoughts_token_count is not None:
        completion = (completion or 0) + (usage.thoughts_token_count or 0)
    return TokenUsage(
        prompt, completion, usage.cached_content_token_count, usage.thoughts_token_count
    )
