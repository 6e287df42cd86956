"""Turn events, and what stands in them, to messages."""

from __future__ import annotations

from collections.abc import Callable

from adapters.grpc import errors, names, values
from colonnade.v1 import messages_pb2, turns_pb2
from core.grounding.citations import Citation
from core.knowledge import Chunk, Passage
from core.turns.events import (
    ApprovalRequired,
    AttemptUsed,
    Cited,
    Finished,
    Reasoning,
    Retracted,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
)


def event_message(event: TurnEvent) -> turns_pb2.TurnEvent:
    """The event without its number."""
    return _WRITERS[type(event)](event)


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


def _started(event: Started) -> turns_pb2.TurnEvent:
    previous = errors.rich_failure(event.previous_error) if event.previous_error else None
    return turns_pb2.TurnEvent(
        started=turns_pb2.Started(
            turn_id=event.turn,
            run=event.run,
            previous_error=previous,
            prompt_version=event.prompt_version,
            model=event.model,
            request_id=event.request_id,
            conversation=names.conversation_name(event.conversation),
            user_message=names.message_name(event.conversation, event.user_message),
        )
    )


def _retrieved(event: Retrieved) -> turns_pb2.TurnEvent:
    chunks = [retrieved_chunk(passage) for passage in event.passages]
    return turns_pb2.TurnEvent(
        retrieved=turns_pb2.Retrieved(chunks=chunks, degraded=event.degraded)
    )


def _used(event: AttemptUsed) -> turns_pb2.TurnEvent:
    return turns_pb2.TurnEvent(
        usage=turns_pb2.AttemptUsage(
            attempt=event.attempt,
            model=event.deployment,
            usage=values.usage(event.usage, estimated=event.estimated),
            cost=values.money(event.cost, event.currency),
        )
    )


def _switched(event: Switched) -> turns_pb2.TurnEvent:
    return turns_pb2.TurnEvent(
        provider_switched=turns_pb2.ProviderSwitched(
            from_model=event.failed,
            to_model=event.next,
            attempt=event.attempt,
            cause=event.cause,
        )
    )


def _approval_required(event: ApprovalRequired) -> turns_pb2.TurnEvent:
    return turns_pb2.TurnEvent(
        approval_required=turns_pb2.ApprovalRequired(
            approval_id=event.approval,
            call_id=event.call,
            reason=event.cause,
            expire_time=values.timestamp(event.expires),
        )
    )


def _retracted(event: Retracted) -> turns_pb2.TurnEvent:
    """The answer of a turn begins after its first event, so from there all of it is taken back."""
    return turns_pb2.TurnEvent(retracted=turns_pb2.Retracted(from_sequence=1, reason=event.cause))


def _finished(event: Finished) -> turns_pb2.TurnEvent:
    return turns_pb2.TurnEvent(
        finished=turns_pb2.Finished(
            reason=values.finish_reason(event.reason),
            model=event.model,
            usage=values.usage(event.usage, estimated=event.estimated),
            cost=values.money(event.cost, event.currency),
            latencies=values.latencies(event.latencies),
            message=names.message_name(event.conversation, event.message),
        )
    )


_WRITERS: dict[type[TurnEvent], Callable[..., turns_pb2.TurnEvent]] = {
    Text: lambda e: turns_pb2.TurnEvent(delta=turns_pb2.Delta(text=e.text)),
    Reasoning: lambda e: turns_pb2.TurnEvent(delta=turns_pb2.Delta(reasoning=e.text)),
    Cited: lambda e: turns_pb2.TurnEvent(citation=citation(e.citation)),
    Validated: lambda e: turns_pb2.TurnEvent(validation=values.validation(e.verdict)),
    Started: _started,
    Retrieved: _retrieved,
    AttemptUsed: _used,
    Switched: _switched,
    ApprovalRequired: _approval_required,
    Retracted: _retracted,
    Finished: _finished,
}
