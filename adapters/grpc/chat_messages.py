"""Chat requests to domain values, and turns to messages."""

from __future__ import annotations

from adapters.grpc import codec, errors, generation, messages, names, values
from colonnade.v1 import chat_pb2, messages_pb2, turns_pb2
from core.chat import ChatRequest, Grounding, Mode, PromptChoice
from core.errors import InvalidInput
from core.identifiers import MessageId, RequestId, Seconds, TurnId
from core.turns.rows import EndReason, TurnState
from core.turns.transcript import Transcript
from services.turns.turns import TurnView

_MODES = {
    chat_pb2.CHAT_MODE_UNSPECIFIED: None,
    chat_pb2.CHAT_MODE_CHAT: Mode.CHAT,
    chat_pb2.CHAT_MODE_RAG: Mode.RAG,
    chat_pb2.CHAT_MODE_TOOLS: Mode.TOOLS,
}
_GROUNDINGS = {
    chat_pb2.GROUNDING_UNSPECIFIED: None,
    chat_pb2.GROUNDING_OFF: Grounding.OFF,
    chat_pb2.GROUNDING_SENTENCE: Grounding.SENTENCE,
    chat_pb2.GROUNDING_FINAL: Grounding.FINAL,
}
_STATES = {
    TurnState.RUNNING: turns_pb2.TURN_STATE_RUNNING,
    TurnState.WAITING: turns_pb2.TURN_STATE_WAITING,
    TurnState.FINISHED: turns_pb2.TURN_STATE_FINISHED,
    TurnState.FAILED: turns_pb2.TURN_STATE_FAILED,
}
_COMPLETE = frozenset({EndReason.STOP, EndReason.REFUSED})
_ID_LENGTH = 64


def request(message: chat_pb2.ChatRequest) -> ChatRequest:
    """The domain's request. Raises InvalidInput, or pydantic's ValidationError with our fields."""
    if message.mode not in _MODES:
        raise InvalidInput.at("mode", "is no mode that this server knows")
    if message.grounding not in _GROUNDINGS:
        raise InvalidInput.at("grounding", "is no grounding that this server knows")
    conversation = (
        names.conversation_id(message.conversation, "conversation")
        if message.conversation
        else None
    )
    return ChatRequest(
        message=messages.to_domain(message.message, "message"),
        request_id=RequestId(message.request_id),
        conversation=conversation,
        parent_message=_parent(message),
        messages=tuple(
            messages.to_domain(m, f"messages[{i}]") for i, m in enumerate(message.messages)
        ),
        mode=_MODES[message.mode],
        collections=tuple(
            names.collection_id(name, f"collections[{i}]")
            for i, name in enumerate(message.collections)
        ),
        filter=generation.document_filter(message.filter),
        model=message.model,
        constraints=generation.constraints(message.constraints),
        prompt=PromptChoice(message.prompt.prompt, dict(message.prompt.inputs)),
        options=generation.options(message.options),
        grounding=_GROUNDINGS[message.grounding],
        feature=message.feature,
        detach=message.detach,
        linger=values.seconds(message.linger) if message.HasField("linger") else None,
        turn_timeout=_turn_timeout(message),
        accept_retractions=message.accept_retractions,
        language=message.language,
    )


def _parent(message: chat_pb2.ChatRequest) -> MessageId | None:
    if not message.parent_message:
        return None
    conversation, parent = names.message_id(message.parent_message, "parent_message")
    if message.conversation != names.conversation_name(conversation):
        raise InvalidInput.at("parent_message", "must be a message of `conversation`")
    return parent


def _turn_timeout(message: chat_pb2.ChatRequest) -> Seconds | None:
    return values.seconds(message.turn_timeout) if message.HasField("turn_timeout") else None


def turn_or_request(
    message: chat_pb2.GetTurnRequest | chat_pb2.CancelChatRequest,
) -> tuple[TurnId, RequestId]:
    """Which turn is meant. Raises InvalidInput unless exactly one of the two is set."""
    if bool(message.turn_id) == bool(message.request_id):
        raise InvalidInput.at("turn_id", "set exactly one of turn_id and request_id")
    return turn_id(message.turn_id) if message.turn_id else TurnId(""), RequestId(
        message.request_id
    )


def turn_id(value: str) -> TurnId:
    """A turn's id. Raises InvalidInput where it can be none."""
    if not 1 <= len(value) <= _ID_LENGTH:
        raise InvalidInput.at("turn_id", f"must be 1 to {_ID_LENGTH} characters, from `started`")
    return TurnId(value)


def turn(view: TurnView) -> turns_pb2.Turn:
    """A turn as it stands."""
    row, seen = view.turn, view.transcript
    finished = seen.finished
    message = turns_pb2.Turn(
        turn_id=row.id,
        request_id=row.request_id,
        state=_STATES[row.state],
        run=row.run,
        conversation=names.conversation_name(row.conversation),
        user_message=names.message_name(row.conversation, row.user_message),
        answer=_answer(view) if row.state.ended and seen.text else None,
        finish_reason=values.finish_reason(row.reason),
        error=errors.rich_failure(row.error) if row.error else None,
        rerunnable=row.rerunnable,
        cancel_requested=row.cancel is EndReason.CANCELLED,
        prompt_version=seen.started.prompt_version if seen.started else "",
        model=seen.model,
        validation=values.validation(seen.verdict) if seen.verdict else None,
        create_time=values.timestamp(row.created_at),
        end_time=values.timestamp(row.ended_at),
        last_sequence=row.next_seq - 1,
        retrieved=[codec.retrieved_chunk(passage) for passage in seen.passages],
    )
    if finished is not None:
        message.usage.CopyFrom(values.usage(finished.usage, estimated=finished.estimated))
        message.latencies.CopyFrom(values.latencies(finished.latencies))
        cost = values.money(finished.cost, finished.currency)
        if cost is not None:
            message.cost.CopyFrom(cost)
    message.events.extend(turns_pb2.TurnEvents.FromString(view.encoded_events).events)
    return message


def _answer(view: TurnView) -> messages_pb2.Message:
    row, seen = view.turn, view.transcript
    return messages.answer(
        seen.text,
        row.conversation,
        _answer_id(seen),
        citations=[codec.citation(citation) for citation in seen.citations],
        partial=row.reason not in _COMPLETE,
        model=seen.model,
    )


def _answer_id(seen: Transcript) -> MessageId | None:
    return seen.finished.message if seen.finished else None
