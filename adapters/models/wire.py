"""What a provider's format is to the one adapter that speaks them all over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import ValidationError

from core.catalog import Capability, Deployment
from core.generation import (
    AnswerOrigin,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One POST: a path below the server's address, a JSON body, the format's own headers."""

    path: str
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


class AnswerReader(Protocol):
    """Reads one answer, event by event, and knows at the end whether it was whole. No I/O."""

    @property
    def origin(self) -> AnswerOrigin:
        """Who answers, as far as was said until now."""

    @property
    def ended(self) -> bool:
        """Whether the format's own mark of the end has come; some formats have none."""

    def read(self, data: bytes, type: str = "") -> list[ModelEvent]:
        """What an event (its data, its name) adds to the answer; empty pieces add nothing.

        Raises ModelError: what the server says in an error, MALFORMED_STREAM for nonsense.
        """

    def read_whole(self, body: bytes) -> list[ModelEvent]:
        """The same for an answer that came as one JSON value, not as a stream."""

    def finish(self) -> ModelFinished:
        """The last event. Raises ModelError where the stream ended before the answer did."""


class Wire(Protocol):
    """A provider's format: how a request is written in it, and how its answer is read."""

    @property
    def possible(self) -> frozenset[Capability]:
        """What the format can express at all."""

    def request(self, request: GenerationRequest, deployment: Deployment) -> WireRequest:
        """The request as this format has it.

        Raises ModelError: UNSUPPORTED, by name, for what cannot be said in it; BAD_REQUEST for
        what is wrong in itself.
        """

    def reader(self, request: GenerationRequest) -> AnswerReader:
        """A reader for the answer to this request."""

    def authorization(self, api_key: str) -> Mapping[str, str]:
        """The headers that carry a key."""


def unsupported(deployment: Deployment, what: str) -> ModelError:
    """The error for an option that this deployment's format cannot express."""
    return ModelError(
        ModelErrorKind.UNSUPPORTED, f"the deployment {deployment.name} does not support {what}"
    )


def malformed(cause: str) -> ModelError:
    """The error for a stream that is not what its format says."""
    return ModelError(
        ModelErrorKind.MALFORMED_STREAM, f"the provider's stream cannot be used: {cause}"
    )


def invalid(error: ValidationError) -> ModelError:
    """The error for an event that has not its form.

    It tells the cause without the event's own content, which may be long and is not ours to show.
    """
    first = error.errors(include_input=False, include_url=False)[0]
    return malformed(f"{'.'.join(map(str, first['loc'])) or 'an event'}: {first['msg']}"[:200])


def joined(events: Sequence[ModelEvent]) -> list[ModelEvent]:
    """The same events with neighbours of one kind made one: what arrives together stays so."""
    result: list[ModelEvent] = []
    for event in events:
        match result[-1] if result else None, event:
            case TextDelta(before), TextDelta(text):
                result[-1] = TextDelta(before + text)
            case ReasoningDelta(before), ReasoningDelta(text):
                result[-1] = ReasoningDelta(before + text)
            case RefusalDelta(before), RefusalDelta(text):
                result[-1] = RefusalDelta(before + text)
            case ToolCallDelta(index, call_id, tool, before), ToolCallDelta(at, "", "", more) if (
                index == at
            ):
                result[-1] = ToolCallDelta(index, call_id, tool, before + more)
            case _:
                result.append(event)
    return result
