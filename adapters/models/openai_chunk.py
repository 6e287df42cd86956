"""The shape of a chunk of Chat Completions, and of a whole one, as its many servers send them.

Only what is read stands here, and what is not needed may be of any type.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass as checked

Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, slots=True)
class Piece:
    """A part of a message that is a list of typed parts; thoughts nest once more."""

    type: str = ""
    text: str | None = None
    thinking: str | list[Piece] | None = None


Content = str | list[Piece] | None


@checked(frozen=True, slots=True)
class Function:
    """A call's tool and arguments; a few servers send these as an object."""

    name: str | None = None
    arguments: str | dict[str, JsonValue] | None = None


@checked(frozen=True, slots=True)
class Call:
    """A piece of a proposal to call a tool."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


@checked(frozen=True, slots=True)
class UrlCitation:
    """A page that was cited, and where in the text; not all servers say where."""

    url: str = ""
    title: str | None = None
    content: str | None = None
    start_index: int | None = None
    end_index: int | None = None


@checked(frozen=True, slots=True)
class Annotation:
    """A note on the text; only citations are read."""

    type: str = ""
    url_citation: UrlCitation | None = None


@checked(frozen=True, slots=True)
class Delta:
    """What a chunk adds to the message; in a whole completion, the message."""

    content: Content = None
    refusal: str | None = None
    reasoning_content: Content = None
    reasoning: Content = None
    thinking: Content = None
    reasoning_details: list[dict[str, JsonValue]] | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: list[Annotation] | None = None


@checked(frozen=True, slots=True)
class Token:
    """A token's log-probability, and those of its alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[Token] | None = None


@checked(frozen=True, slots=True)
class LogProbs:
    """Log-probabilities of the text, or of the refusal."""

    content: list[Token] | None = None
    refusal: list[Token] | None = None


@checked(frozen=True, slots=True)
class Choice:
    """One of the answers; only the first is read."""

    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


@checked(frozen=True, slots=True)
class PromptDetails:
    """Parts of the prompt's count."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None  # OpenRouter's


@checked(frozen=True, slots=True)
class CompletionDetails:
    """Parts of the completion's count."""

    reasoning_tokens: Count | None = None


@checked(frozen=True, slots=True)
class Usage:
    """The counts, in OpenAI's names and DeepSeek's own."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None


@checked(frozen=True, slots=True)
class Timings:
    """What llama.cpp counts by itself; `prompt_n` is without the `cache_n` that it knew."""

    cache_n: Count = 0
    prompt_n: Count | None = None
    predicted_n: Count | None = None


@checked(frozen=True, slots=True)
class Groq:
    """Groq's own place for what its old streams have nowhere else."""

    usage: Usage | None = None


@checked(frozen=True, slots=True)
class Chunk:
    """One event of the stream, or the whole completion."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    x_groq: Groq | None = None
    error: JsonValue = None
    object: JsonValue = None
    id: JsonValue = None
    model: JsonValue = None
    system_fingerprint: JsonValue = None


CHUNK = TypeAdapter(Chunk)
