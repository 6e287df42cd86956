"""What a model is asked and what it streams back, whoever serves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.catalog import Tier
from core.checking import QUIET
from core.errors import ColonnadeError, Reason
from core.identifiers import Seconds
from core.knowledge import Passage
from core.messages import Message


class ToolChoice(Enum):
    """Whether the model may, must or must not call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@checked(frozen=True, slots=True, config=QUIET)
class GenerationOptions:
    """Sampling and limits; None leaves the deployment's own default."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=8)] = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    response_schema: Annotated[str, Field(max_length=100_000)] = ""
    tool_choice: ToolChoice = ToolChoice.AUTO


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One attempt's input.

    `messages` is the rendered prompt. `question` and `context` say the same in structure for a
    model that does not write but quotes: what was asked, and the passages that may be cited,
    in the order of their citation numbers (from 1).
    """

    messages: tuple[Message, ...]
    options: GenerationOptions = field(default_factory=GenerationOptions)
    question: str = ""
    context: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens as the provider counted them. None is unknown, which is not zero."""

    prompt: int | None = None
    completion: int | None = None
    cached_prompt: int | None = None
    reasoning: int | None = None


class StopCause(Enum):
    """Why a model stopped writing of its own accord."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's own thoughts, which are not the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More text in which the model declines to answer. It is shown, and needs no citation.

    A model that answers from documents says so with it when they don't hold the answer.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ModelFinished:
    """The last event of a good stream; a stream that ends without it was cut."""

    cause: StopCause
    usage: TokenUsage


ModelEvent = TextDelta | ReasoningDelta | RefusalDelta | ModelFinished


class ModelErrorKind(Enum):
    """What went wrong with one attempt; routing decides by it."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTERED = "content_filtered"
    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    MALFORMED_STREAM = "malformed_stream"
    UNSUPPORTED = "unsupported"
    WEIGHTS_MISSING = "weights_missing"


class ModelError(ColonnadeError):
    """One attempt failed. The message never holds a key or a header of the request."""

    reason = Reason.MODELS_UNAVAILABLE

    def __init__(
        self, kind: ModelErrorKind, message: str, *, retry_after: Seconds | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after, kind=kind.value)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Constraints:
    """What the caller demands of the model; None and "" demand nothing."""

    max_cost: Decimal | None = None
    latency_objective: Seconds | None = None
    tier: Tier | None = None
    residency: str = ""
