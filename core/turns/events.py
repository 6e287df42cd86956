"""What happens in a turn, as its readers are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from core.generation import TokenUsage
from core.grounding.citations import Citation
from core.grounding.verdict import Verdict
from core.identifiers import ConversationId, DeploymentName, MessageId, RequestId, Seconds, TurnId
from core.knowledge import Passage
from core.turns.rows import EndReason, TurnFailure


@dataclass(frozen=True, slots=True)
class Started:
    """A run has begun: the first event of every log, and of each later run."""

    turn: TurnId
    run: int
    prompt_version: str
    model: str
    request_id: RequestId = RequestId("")
    conversation: ConversationId | None = None
    user_message: MessageId | None = None
    previous_error: TurnFailure | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The documents have been searched; `degraded` when part of the search was late or down."""

    passages: tuple[Passage, ...]
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of the model's own thoughts, which are no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A statement of the answer is tied to its source."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Switched:
    """A deployment failed and another goes on."""

    failed: DeploymentName
    next: DeploymentName
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class AttemptUsed:
    """What one call of a provider used."""

    attempt: int
    deployment: DeploymentName
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class ApprovalRequired:
    """A tool call waits for somebody's decision until `expires`; nothing runs meanwhile."""

    approval: str
    call: str
    cause: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Retracted:
    """All text, thoughts and citations so far are taken back; the answer begins anew after it."""

    cause: str


@dataclass(frozen=True, slots=True)
class Validated:
    """The verdict on the answer."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Latencies:
    """From the claim to each point; None for what did not happen. Generation: all attempts."""

    retrieval: Seconds | None = None
    first_text: Seconds | None = None
    generation: Seconds | None = None
    total: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn has ended and is settled: always the last event of its log, at most once."""

    reason: EndReason
    model: str
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None
    currency: str
    latencies: Latencies
    message: MessageId | None = None
    conversation: ConversationId | None = None


TurnEvent = (
    Started
    | Retrieved
    | Text
    | Reasoning
    | Cited
    | Switched
    | AttemptUsed
    | ApprovalRequired
    | Retracted
    | Validated
    | Finished
)

_RELEASES = frozenset({Text, Reasoning, Cited, ApprovalRequired})


def releases(event: TurnEvent) -> bool:
    """Whether this event is something of the answer: after it, the turn never runs again."""
    return type(event) in _RELEASES


def kind_of(event: TurnEvent) -> str:
    """The name under which the log keeps this kind of event."""
    return _KINDS[type(event)]


_SAID: dict[type[TurnEvent], Callable[[str], TurnEvent]] = {Text: Text, Reasoning: Reasoning}
_text_of = attrgetter("text")


def joined(events: Sequence[TurnEvent]) -> Sequence[TurnEvent]:
    """The same events with neighbouring texts (and thoughts) put together: one a tick."""
    if len(events) < 2:
        return events
    result: list[TurnEvent] = []
    for kind, alike in groupby(events, type):
        if kind in _SAID:
            result.append(_SAID[kind]("".join(map(_text_of, alike))))
        else:
            result += alike
    return result


_KINDS: dict[type[TurnEvent], str] = {
    Started: "started",
    Retrieved: "retrieved",
    Text: "delta",
    Reasoning: "delta",
    Cited: "citation",
    Switched: "provider_switched",
    AttemptUsed: "usage",
    ApprovalRequired: "approval_required",
    Retracted: "retracted",
    Validated: "validation",
    Finished: "finished",
}
