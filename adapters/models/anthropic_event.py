"""The shapes of the events of POST /messages, and of a whole message. Only what is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass as checked

Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, slots=True)
class OutputDetails:
    """Parts of the output's count."""

    thinking_tokens: Count | None = None


@checked(frozen=True, slots=True)
class Usage:
    """The counts; `input_tokens` is without what was read from the cache or put there."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None


@checked(frozen=True, slots=True)
class Citation:
    """A place in a source: a page of the web, or a document that came with the request."""

    url: str | None = None
    title: str | None = None
    document_title: str | None = None
    source: str | None = None
    cited_text: str | None = None


@checked(frozen=True, slots=True)
class Block:
    """A part of the message, at its beginning or whole."""

    type: str
    id: str | None = None
    name: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: JsonValue = None
    citations: list[Citation] | None = None


@checked(frozen=True, slots=True)
class Delta:
    """More of a block (by its type), or of the message (its end)."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Citation | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


@checked(frozen=True, slots=True)
class Message:
    """The message, empty at the beginning of a stream."""

    id: str = ""
    model: str = ""
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None


@checked(frozen=True, slots=True)
class Event:
    """One event of the stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: JsonValue = None


EVENT = TypeAdapter(Event)
WHOLE = TypeAdapter(Message)
