"""Messages that we wrote into a turn's log, back to events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from adapters.grpc import errors, values
from colonnade.v1 import turns_pb2
from core.generation import TokenUsage
from core.grounding.citations import Citation
from core.identifiers import (
    ChunkId,
    CollectionName,
    ConversationId,
    DeploymentName,
    DocumentId,
    MessageId,
    RequestId,
    TurnId,
)
from core.knowledge import Chunk, Passage
from core.turns.events import (
    ApprovalRequired,
    AttemptUsed,
    Cited,
    Finished,
    Latencies,
    Reasoning,
    Retracted,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
)


def event_from(message: turns_pb2.TurnEvent) -> TurnEvent | None:
    """The event; None for a kind that this program does not know."""
    reader = _READERS.get(message.WhichOneof("kind") or "")
    return reader(message) if reader is not None else None


def _read_started(message: turns_pb2.TurnEvent) -> Started:
    value = message.started
    previous = (
        errors.failure_from(value.previous_error) if value.HasField("previous_error") else None
    )
    return Started(
        turn=TurnId(value.turn_id),
        run=value.run,
        prompt_version=value.prompt_version,
        model=value.model,
        request_id=RequestId(value.request_id),
        conversation=_conversation(value.conversation),
        user_message=_last(value.user_message),
        previous_error=previous,
    )


def _read_delta(message: turns_pb2.TurnEvent) -> Text | Reasoning:
    if message.delta.WhichOneof("content") == "reasoning":
        return Reasoning(message.delta.reasoning)
    return Text(message.delta.text)


def _read_retrieved(message: turns_pb2.TurnEvent) -> Retrieved:
    value = message.retrieved
    return Retrieved(tuple(_passage(chunk) for chunk in value.chunks), value.degraded)


def _passage(chunk: turns_pb2.RetrievedChunk) -> Passage:
    """A passage without its text, which the log does not keep."""
    collection, document = _document(chunk.document)
    span = chunk.span
    return Passage(
        Chunk(
            ChunkId(chunk.chunk_id),
            document,
            0,
            "",
            span.start_character,
            span.end_character,
            tuple(span.headings),
        ),
        collection,
        chunk.title,
        chunk.uri,
        chunk.score,
    )


def _read_citation(message: turns_pb2.TurnEvent) -> Cited:
    value = message.citation
    collection, document = _document(value.document)
    quoted = bool(value.cited_text)
    return Cited(
        Citation(
            start_byte=value.start_byte,
            end_byte=value.end_byte,
            cited_text="",
            number=value.number,
            chunk=ChunkId(value.chunk_id),
            document=document,
            title=value.title,
            uri=value.uri,
            source_start=value.span.start_character if quoted else None,
            source_end=value.span.end_character if quoted else None,
            quote=value.cited_text,
            collection=collection,
            headings=tuple(value.span.headings),
        )
    )


def _read_switched(message: turns_pb2.TurnEvent) -> Switched:
    value = message.provider_switched
    return Switched(
        DeploymentName(value.from_model), DeploymentName(value.to_model), value.attempt, value.cause
    )


def _read_used(message: turns_pb2.TurnEvent) -> AttemptUsed:
    value = message.usage
    return AttemptUsed(
        value.attempt,
        DeploymentName(value.model),
        values.tokens(value.usage) if value.HasField("usage") else TokenUsage(),
        value.usage.estimated,
        values.amount(value.cost),
        value.cost.currency_code,
    )


def _read_finished(message: turns_pb2.TurnEvent) -> Finished:
    value = message.finished
    return Finished(
        reason=values.end_reason(value.reason),
        model=value.model,
        usage=values.tokens(value.usage),
        estimated=value.usage.estimated,
        cost=values.amount(value.cost),
        currency=value.cost.currency_code,
        latencies=_read_latencies(message),
        message=_last(value.message),
        conversation=_conversation(value.message),
    )


def _read_latencies(message: turns_pb2.TurnEvent) -> Latencies:
    value = message.finished.latencies
    return Latencies(
        retrieval=values.seconds(value.retrieval) if value.HasField("retrieval") else None,
        first_text=values.seconds(value.first_text) if value.HasField("first_text") else None,
        generation=values.seconds(value.generation) if value.HasField("generation") else None,
        total=values.seconds(value.total) if value.HasField("total") else None,
    )


def _read_approval_required(message: turns_pb2.TurnEvent) -> ApprovalRequired:
    value = message.approval_required
    expires = value.expire_time.ToDatetime(UTC)
    return ApprovalRequired(value.approval_id, value.call_id, value.reason, expires)


def _conversation(name: str) -> ConversationId | None:
    return ConversationId(name.split("/")[1]) if name else None


def _last(name: str) -> MessageId | None:
    return MessageId(name.rpartition("/")[2]) if name else None


def _document(name: str) -> tuple[CollectionName, DocumentId]:
    if not name:
        return CollectionName(""), DocumentId("")
    _, collection, _, document = name.split("/")
    return CollectionName(collection), DocumentId(document)


_READERS: dict[str, Callable[[turns_pb2.TurnEvent], TurnEvent]] = {
    "started": _read_started,
    "retrieved": _read_retrieved,
    "delta": _read_delta,
    "citation": _read_citation,
    "provider_switched": _read_switched,
    "usage": _read_used,
    "approval_required": _read_approval_required,
    "retracted": lambda message: Retracted(message.retracted.reason),
    "validation": lambda message: Validated(values.verdict(message.validation)),
    "finished": _read_finished,
}
