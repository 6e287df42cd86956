"""The shapes of the events of POST /responses, and of a whole response. Only what is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from adapters.models.openai_chunk import Token

Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, slots=True)
class Annotation:
    """A note on the text; only citations are read."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


@checked(frozen=True, slots=True)
class Content:
    """A part of a message, or of thoughts."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    logprobs: list[Token] | None = None


@checked(frozen=True, slots=True)
class Item:
    """A part of the output: a message, thoughts, a call, or something of the provider's own."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[Content] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None


@checked(frozen=True, slots=True)
class InputDetails:
    """Parts of the input's count."""

    cached_tokens: Count | None = None


@checked(frozen=True, slots=True)
class OutputDetails:
    """Parts of the output's count."""

    reasoning_tokens: Count | None = None


@checked(frozen=True, slots=True)
class Usage:
    """The counts."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


@checked(frozen=True, slots=True)
class Incomplete:
    """Why it ended early."""

    reason: str | None = None


@checked(frozen=True, slots=True)
class Response:
    """The response, at its beginning, at its end, or whole."""

    id: str = ""
    model: str = ""
    status: str | None = None
    output: list[Item] | None = None
    usage: Usage | None = None
    incomplete_details: Incomplete | None = None
    error: JsonValue = None


@checked(frozen=True, slots=True)
class Event:
    """One event of the stream."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: JsonValue = None
    item: Item | None = None
    response: Response | None = None
    annotation: Annotation | None = None
    logprobs: list[Token] | None = None

    @property
    def said(self) -> str:
        """The delta where it is text."""
        return self.delta if isinstance(self.delta, str) else ""


EVENT = TypeAdapter(Event)
WHOLE = TypeAdapter(Response)
