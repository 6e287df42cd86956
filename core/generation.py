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
from core.trace import TraceContext


class ToolChoice(Enum):
    """Whether the model may, must or must not call a tool."""

    __hash__ = object.__hash__  # Enum has its own, in Python

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    ONE = "one"  # the one that is named beside


class ReasoningEffort(Enum):
    """How long a reasoning model may think before it answers."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@checked(frozen=True, slots=True, config=QUIET)
class ToolDefinition:
    """A tool that the model may propose to call.

    `parameters` is the JSON schema of its arguments, as text. `strict` asks the provider to keep
    the arguments within the schema, where it can.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    description: Annotated[str, Field(max_length=20_000)] = ""
    parameters: Annotated[str, Field(max_length=100_000)] = '{"type": "object"}'
    strict: bool = False


@checked(frozen=True, slots=True, config=QUIET)
class GenerationOptions:
    """Sampling and limits, tools, form; None leaves the deployment's own default.

    `chosen_tool` is the one that must be called where `tool_choice` is ONE, and empty elsewhere.
    `parallel_tool_calls` says whether one answer may propose several calls. `logprobs` asks for
    log-probabilities of the tokens, with so many alternatives each (0: of the tokens alone).
    `cache_key` names the prompts that begin alike, for providers that keep them by such a name;
    it is a hint, and where it means nothing it is not sent. `reasoning_tokens` bounds the thoughts
    of a reasoning model, in place of `reasoning_effort`.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=8)] = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    response_schema: Annotated[str, Field(max_length=100_000)] = ""
    tool_choice: ToolChoice = ToolChoice.AUTO
    chosen_tool: Annotated[str, Field(max_length=128)] = ""
    tools: Annotated[tuple[ToolDefinition, ...], Field(max_length=256)] = ()
    parallel_tool_calls: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: ReasoningEffort | None = None
    cache_key: Annotated[str, Field(max_length=64)] = ""
    reasoning_tokens: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One attempt's input.

    `messages` is the rendered prompt. `question` and `context` say the same in structure for a
    model that does not write but quotes: what was asked, and the passages that may be cited,
    in the order of their citation numbers (from 1).

    A last message of the assistant's is the beginning of the answer, and the model goes on from
    its last character. `stable_messages` says how many messages, from the first, will come again
    unchanged: a hint for the provider's prompt cache.

    `whole`: nobody reads the answer before its end, so that a provider may send it in one piece,
    which costs a fraction of a stream. Only the time-out of the attempt bounds it then, and a
    break leaves nothing of it. `trace` is the caller's, for a provider that may be told it.
    """

    messages: tuple[Message, ...]
    options: GenerationOptions = field(default_factory=GenerationOptions)
    question: str = ""
    context: tuple[Passage, ...] = ()
    stable_messages: int = 0
    whole: bool = False
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens as the provider counted them. None is unknown, which is not zero.

    `prompt` is all that was read; `cached_prompt` (read from the provider's cache) and
    `cache_write` (put there) are parts of it. `completion` is all that was written; `reasoning`
    is part of it. Whatever a provider's own sums are, they are made these.
    """

    prompt: int | None = None
    completion: int | None = None
    cached_prompt: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None


class StopCause(Enum):
    """Why a model stopped writing of its own accord."""

    __hash__ = object.__hash__  # Enum has its own, in Python

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
class AnswerOrigin:
    """Who answers, as the provider says: its id of the response, the model, the build of it.

    The first event where the provider tells any of it, else absent. It is not a piece of the
    answer, and comes together with the first.
    """

    response_id: str = ""
    model: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ReasoningSealed:
    """The thoughts since the last seal are complete; the provider wants them back like this.

    `seal` is opaque and means something only to `wire`, the format that it came in. In a history
    it stands in a ReasoningPart, before what was said or proposed after it.
    """

    seal: str
    wire: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a proposal to call a tool.

    Calls are numbered by `index` from 0, and those of one answer may come interleaved. The first
    delta of each has `call_id` and `tool`, later ones have neither. The `arguments` of all, put
    together, are JSON text; none at all means no arguments.
    """

    index: int
    call_id: str = ""
    tool: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class TokenLogProbability:
    """A token, its natural log-probability, and what might have stood there instead.

    `encoded` is the token in UTF-8 where the provider gives it: a token may be half a character.
    """

    token: str
    logprob: float
    encoded: bytes | None = None
    alternatives: tuple[TokenLogProbability, ...] = ()


@dataclass(frozen=True, slots=True)
class LogProbabilities:
    """Of the tokens of the text that came with or before this, in order. `refusal`: of that."""

    tokens: tuple[TokenLogProbability, ...]
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class SourceCited:
    """A source that the provider itself names for the answer.

    `start` and `end` are characters of the answer's text so far, None where they are not told;
    `quote` is the source's own text, where that is.
    """

    uri: str
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ModelFinished:
    """The last event of a good stream; a stream that ends without it was cut.

    `stop_sequence` is the one that ended the answer, where the provider says so.
    """

    cause: StopCause
    usage: TokenUsage
    stop_sequence: str = ""


Piece = TextDelta | ReasoningDelta | RefusalDelta
"""What people may read of an answer."""

ModelEvent = (
    AnswerOrigin
    | Piece
    | ReasoningSealed
    | ToolCallDelta
    | LogProbabilities
    | SourceCited
    | ModelFinished
)
"""A consumer passes over the kinds that it does not know: there may be more one day."""


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
    """What the caller demands of the model; None and "" demand nothing.

    `labels` are data labels, all of which the deployment must carry.
    """

    max_cost: Decimal | None = None
    latency_objective: Seconds | None = None
    tier: Tier | None = None
    residency: str = ""
    labels: frozenset[str] = frozenset()
