"""Turn events to the contract's bytes and back: serialised once, for log and wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.grpc import errors, names, values
from colonnade.v1 import messages_pb2, turns_pb2
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
    AttemptUsed,
    Cited,
    Finished,
    Latencies,
    Reasoning,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
)

_ELEMENT = 0x0A
"""The tag of field 1, length-delimited: what an element of `TurnEvents.events` begins with."""


class ProtobufCodec:
    """Each event as an element of `TurnEvents.events`: elements put together are a message."""

    def encode(self, sequence: int, event: TurnEvent) -> bytes:
        """One event with its number."""
        message = _WRITERS[type(event)](event)
        message.sequence = sequence
        body = message.SerializeToString()
        return bytes((_ELEMENT,)) + _varint(len(body)) + body

    def decode(self, encoded: bytes) -> Sequence[tuple[int, TurnEvent]]:
        """The events in these bytes; kinds that this program doesn't know are left out."""
        decoded: list[tuple[int, TurnEvent]] = []
        for message in turns_pb2.TurnEvents.FromString(encoded).events:
            reader = _READERS.get(message.WhichOneof("kind") or "")
            if reader is not None:
                decoded.append((message.sequence, reader(message)))
        return decoded


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


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
    Finished: _finished,
}


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
    "validation": lambda message: Validated(values.verdict(message.validation)),
    "finished": _read_finished,
}
