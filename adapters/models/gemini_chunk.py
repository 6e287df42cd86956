"""The shape of a response of generateContent, whole or as a chunk. Only what is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as checked

_CAMEL = ConfigDict(alias_generator=to_camel)
Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, slots=True, config=_CAMEL)
class FunctionCall:
    """A proposal to call a tool; it always comes whole."""

    name: str = ""
    args: JsonValue = None
    id: str | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Part:
    """A piece of the answer; `thought` marks its text as thoughts."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Content:
    """The pieces."""

    parts: list[Part] | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Token:
    """A token and its log-probability."""

    token: str | None = None
    log_probability: float | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class TopTokens:
    """What might have stood there, likeliest first."""

    candidates: list[Token] | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class LogProbs:
    """The tokens that were chosen, and the likeliest at each place."""

    chosen_candidates: list[Token] | None = None
    top_candidates: list[TopTokens] | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Place:
    """A page of the web, or a document that was retrieved."""

    uri: str | None = None
    title: str | None = None
    text: str | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class GroundingChunk:
    """A source."""

    web: Place | None = None
    retrieved_context: Place | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Segment:
    """A span of the answer, in bytes of its UTF-8."""

    start_index: int = 0
    end_index: int | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class GroundingSupport:
    """Which sources stand behind a span of the answer."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Grounding:
    """The sources of the answer."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Candidate:
    """One of the answers; only the first is read."""

    index: int | None = 0
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: LogProbs | None = None
    grounding_metadata: Grounding | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Usage:
    """The counts; thoughts and what tools put into the prompt are counted apart."""

    prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Feedback:
    """Why the prompt itself was refused."""

    block_reason: str | None = None


@checked(frozen=True, slots=True, config=_CAMEL)
class Chunk:
    """One event of the stream, or the whole response."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Usage | None = None
    response_id: str | None = None
    model_version: str | None = None
    error: JsonValue = None


CHUNK = TypeAdapter(Chunk)
