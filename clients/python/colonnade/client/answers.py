"""An answer as a value: what a turn has said so far, or in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from colonnade.v1.messages_pb2 import Citation, Message
from colonnade.v1.turns_pb2 import FinishReason, RetrievedChunk, Turn, Validation
from colonnade.v1.usage_pb2 import Latencies, Money, Usage

Number = TypeVar("Number", bound=int)

_COMPLETE = frozenset({"STOP", "REFUSED"})


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost. `currency` is an ISO 4217 code."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the answer cites, under the number that its readers see."""

    number: int
    document: str
    title: str
    uri: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn answered.

    `finish_reason`, `validation` and `answered_by` are names of the contract without prefix, such
    as `STOP`, `REPAIRED` and `EXTRACTION`; empty until they are known. `usage`, `cost` and
    `latencies` are None until the turn has ended. `message` and `conversation` are resource
    names, empty for a stateless turn.
    """

    turn_id: str = ""
    request_id: str = ""
    run: int = 0
    conversation: str = ""
    user_message: str = ""
    message: str = ""
    text: str = ""
    reasoning: str = ""
    citations: tuple[Citation, ...] = ()
    retrieved: tuple[RetrievedChunk, ...] = ()
    degraded: bool = False
    validation: str = ""
    answered_by: str = ""
    findings: tuple[Validation.Finding, ...] = ()
    finish_reason: str = ""
    model: str = ""
    prompt_version: str = ""
    usage: Usage | None = None
    cost: Cost | None = None
    latencies: Latencies | None = None

    @property
    def complete(self) -> bool:
        """True where nothing of what was to be said is missing."""
        return self.finish_reason in _COMPLETE

    @property
    def refused(self) -> bool:
        """True where the question was declined in plain words; the text says so."""
        return self.finish_reason == "REFUSED" or self.validation == "REFUSED"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The cited passages, each once, in the order of their numbers."""
        cited = {citation.number: citation for citation in reversed(self.citations)}
        return tuple(_source(cited[number]) for number in sorted(cited))

    def statement(self, citation: Citation) -> str:
        """The words of the answer that this citation supports."""
        return self.text.encode()[citation.start_byte : citation.end_byte].decode()


def answer_of(turn: Turn) -> Answer:
    """The answer of a turn as `GetTurn` and `Chat` return it."""
    ended = bool(turn.finish_reason)
    return Answer(
        turn_id=turn.turn_id,
        request_id=turn.request_id,
        run=turn.run,
        conversation=turn.conversation,
        user_message=turn.user_message,
        message=turn.answer.name,
        text=text_of(turn.answer),
        citations=tuple(turn.answer.citations),
        retrieved=tuple(turn.retrieved),
        validation=validation_name(turn.validation),
        answered_by=answerer_name(turn.validation),
        findings=tuple(turn.validation.findings),
        finish_reason=reason_name(turn.finish_reason),
        model=turn.model,
        prompt_version=turn.prompt_version,
        usage=turn.usage if ended else None,
        cost=cost_of(turn.cost) if ended else None,
        latencies=turn.latencies if ended else None,
    )


def text_of(message: Message) -> str:
    """The text parts of a message, put together."""
    return "".join(part.text for part in message.parts)


def cost_of(money: Money) -> Cost | None:
    """The amount as a number; None where no price is known."""
    return Cost(Decimal(money.amount), money.currency_code) if money.amount else None


def reason_name(reason: FinishReason.ValueType) -> str:
    """Such as `STOP`."""
    return _name(FinishReason.Name, reason, "FINISH_REASON_")


def validation_name(validation: Validation) -> str:
    """Such as `PASS`."""
    return _name(Validation.Status.Name, validation.status, "STATUS_")


def answerer_name(validation: Validation) -> str:
    """Such as `MODEL`."""
    return _name(Validation.AnsweredBy.Name, validation.answered_by, "ANSWERED_BY_")


def _name(name_of: Callable[[Number], str], number: Number, prefix: str) -> str:
    """The name without its prefix. A value newer than this client is told as its number."""
    if not number:
        return ""
    try:
        return name_of(number).removeprefix(prefix)
    except ValueError:
        return str(number)


def _source(citation: Citation) -> Source:
    return Source(
        number=citation.number,
        document=citation.document,
        title=citation.title,
        uri=citation.uri,
        headings=tuple(citation.span.headings),
    )
