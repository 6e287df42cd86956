"""Turn events, and what stands in them, to messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.grpc import errors, names, values
from colonnade.v1 import messages_pb2, turns_pb2
from core.grounding.citations import Citation
from core.knowledge import Chunk, Passage
from core.turns.events import (
    ApprovalRequired,
    AttemptUsed,
    Cited,
    Finished,
    Retracted,
    Retrieved,
    Started,
    Switched,
    TurnEvent,
    Validated,
)


def retrieved_chunk(passage: Passage) -> turns_pb2.RetrievedChunk:
    """A passage without its text: what the client needs to show the source."""
    return turns_pb2.RetrievedChunk(
        chunk_id=passage.chunk.id,
        document=names.document_name(passage.collection, passage.chunk.document),
        title=passage.title,
        uri=passage.uri,
        score=passage.score,
        span=source_span(passage.chunk),
    )


def source_span(chunk: Chunk) -> messages_pb2.SourceSpan:
    """Where a chunk stands in its document."""
    return messages_pb2.SourceSpan(
        start_character=chunk.start, end_character=chunk.end, headings=chunk.heading
    )


def citation(value: Citation) -> messages_pb2.Citation:
    """A citation as the client is told it."""
    span = messages_pb2.SourceSpan(
        start_character=value.source_start or 0,
        end_character=value.source_end or 0,
        headings=value.headings,
    )
    return messages_pb2.Citation(
        start_byte=value.start_byte,
        end_byte=value.end_byte,
        cited_text=value.quote,
        chunk_id=value.chunk,
        document=names.document_name(value.collection, value.document),
        title=value.title,
        uri=value.uri,
        span=span,
        number=value.number,
    )


def _started(event: Started, message: turns_pb2.TurnEvent) -> None:
    started = message.started
    started.turn_id = event.turn
    started.run = event.run
    started.prompt_version = event.prompt_version
    started.model = event.model
    started.request_id = event.request_id
    if event.previous_error is not None:
        started.previous_error.CopyFrom(errors.rich_failure(event.previous_error))
    if event.conversation is not None:
        started.conversation = names.conversation_name(event.conversation)
        started.user_message = names.message_name(event.conversation, event.user_message)


def _retrieved(event: Retrieved, message: turns_pb2.TurnEvent) -> None:
    retrieved = message.retrieved
    retrieved.SetInParent()
    retrieved.degraded = event.degraded
    retrieved.chunks.extend(retrieved_chunk(passage) for passage in event.passages)


def _cited(event: Cited, message: turns_pb2.TurnEvent) -> None:
    message.citation.CopyFrom(citation(event.citation))


def _used(event: AttemptUsed, message: turns_pb2.TurnEvent) -> None:
    used = message.usage
    used.attempt = event.attempt
    used.model = event.deployment
    values.put_usage(used.usage, event.usage, estimated=event.estimated)
    if event.cost is not None:
        values.put_money(used.cost, event.cost, event.currency)


def _switched(event: Switched, message: turns_pb2.TurnEvent) -> None:
    switched = message.provider_switched
    switched.from_model = event.failed
    switched.to_model = event.next
    switched.attempt = event.attempt
    switched.cause = event.cause


def _approval_required(event: ApprovalRequired, message: turns_pb2.TurnEvent) -> None:
    required = message.approval_required
    required.approval_id = event.approval
    required.call_id = event.call
    required.reason = event.cause
    required.expire_time.FromDatetime(event.expires)


def _retracted(event: Retracted, message: turns_pb2.TurnEvent) -> None:
    """The answer of a turn begins after its first event, so from there all of it is taken back."""
    message.retracted.from_sequence = 1
    message.retracted.reason = event.cause


def _validated(event: Validated, message: turns_pb2.TurnEvent) -> None:
    message.validation.CopyFrom(values.validation(event.verdict))


def _finished(event: Finished, message: turns_pb2.TurnEvent) -> None:
    finished = message.finished
    finished.reason = values.finish_reason(event.reason)
    finished.model = event.model
    values.put_usage(finished.usage, event.usage, estimated=event.estimated)
    if event.cost is not None:
        values.put_money(finished.cost, event.cost, event.currency)
    values.put_latencies(finished.latencies, event.latencies)
    if event.message is not None:
        finished.message = names.message_name(event.conversation, event.message)


WRITERS: Mapping[type[TurnEvent], Callable[..., None]] = {
    Cited: _cited,
    Validated: _validated,
    Started: _started,
    Retrieved: _retrieved,
    AttemptUsed: _used,
    Switched: _switched,
    ApprovalRequired: _approval_required,
    Retracted: _retracted,
    Finished: _finished,
}
"""What puts an event into the message that has its number. Text, thoughts: see ProtobufCodec."""
