"""Chat requests to domain values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapters.grpc import generation, messages, names, values
from adapters.grpc.violations import below, check, each_of, known, together
from colonnade.v1 import chat_pb2
from core.chat import ChatRequest, Grounding, Mode, PromptChoice
from core.errors import FieldViolation, InvalidInput
from core.identifiers import (
    CollectionName,
    ConversationId,
    MessageId,
    RequestId,
    Seconds,
    TurnId,
)

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
_ID_LENGTH = 64
_LONGEST_PROMPT, _LONGEST_INPUT, _MOST_INPUTS = 200, 20_000, 50
_INPUT = re.compile(r"[A-Za-z0-9_]{1,64}")


def request(message: chat_pb2.ChatRequest) -> ChatRequest:
    """The domain's request. Raises InvalidInput with what is wrong in any of its parts."""
    try:
        with below():
            return _request(message)
    except InvalidInput:
        _tell_all(message)
        raise


def _tell_all(message: chat_pb2.ChatRequest) -> None:
    """Raise InvalidInput with what is wrong in all parts that are translated one by one."""
    together(
        lambda: messages.to_domain(message.message, "message"),
        lambda: messages.all_to_domain(message.messages, "messages"),
        lambda: _conversation(message),
        lambda: _parent(message),
        lambda: known(_MODES, message.mode, "mode"),
        lambda: _collections(message),
        lambda: generation.document_filter(message.filter),
        lambda: generation.constraints(message.constraints),
        lambda: _prompt(message),
        lambda: generation.options(message.options),
        lambda: known(_GROUNDINGS, message.grounding, "grounding"),
    )


def _request(message: chat_pb2.ChatRequest) -> ChatRequest:
    return ChatRequest(
        message=messages.to_domain(message.message, "message"),
        request_id=RequestId(message.request_id),
        conversation=_conversation(message),
        parent_message=_parent(message),
        messages=messages.all_to_domain(message.messages, "messages"),
        mode=known(_MODES, message.mode, "mode"),
        collections=_collections(message),
        filter=generation.document_filter(message.filter),
        model=message.model,
        constraints=generation.constraints(message.constraints),
        prompt=_prompt(message),
        options=generation.options(message.options),
        grounding=known(_GROUNDINGS, message.grounding, "grounding"),
        feature=message.feature,
        detach=message.detach,
        linger=values.seconds(message.linger) if message.HasField("linger") else None,
        turn_timeout=_turn_timeout(message),
        accept_retractions=message.accept_retractions,
        language=message.language,
    )


def _conversation(message: chat_pb2.ChatRequest) -> ConversationId | None:
    if not message.conversation:
        return None
    return names.conversation_id(message.conversation, "conversation")


def _parent(message: chat_pb2.ChatRequest) -> MessageId | None:
    if not message.parent_message:
        return None
    conversation, parent = names.message_id(message.parent_message, "parent_message")
    if message.conversation != names.conversation_name(conversation):
        raise InvalidInput.at("parent_message", "must be a message of `conversation`")
    return parent


def _collections(message: chat_pb2.ChatRequest) -> tuple[CollectionName, ...]:
    return each_of(names.collection_id, message.collections, "collections")


def _prompt(message: chat_pb2.ChatRequest) -> PromptChoice:
    if not message.HasField("prompt"):
        return PromptChoice()
    check(_prompt_violations(message.prompt))
    return PromptChoice(message.prompt.prompt, dict(message.prompt.inputs))


def _prompt_violations(prompt: chat_pb2.PromptReference) -> Iterator[FieldViolation]:
    if not 1 <= len(prompt.prompt) <= _LONGEST_PROMPT:
        yield FieldViolation("prompt.prompt", f"must be 1 to {_LONGEST_PROMPT} characters")
    if len(prompt.inputs) > _MOST_INPUTS:
        yield FieldViolation("prompt.inputs", f"are more than {_MOST_INPUTS}")
    for key, value in sorted(prompt.inputs.items()):
        if not _INPUT.fullmatch(key):
            yield FieldViolation("prompt.inputs", "has a key that is not 1 to 64 of A-Z a-z 0-9 _")
        elif len(value) > _LONGEST_INPUT:
            yield FieldViolation(
                f"prompt.inputs.{key}", f"has more than {_LONGEST_INPUT} characters"
            )


def _turn_timeout(message: chat_pb2.ChatRequest) -> Seconds | None:
    return values.seconds(message.turn_timeout) if message.HasField("turn_timeout") else None


def turn_or_request(
    message: chat_pb2.GetTurnRequest | chat_pb2.CancelChatRequest,
) -> tuple[TurnId, RequestId]:
    """Which turn is meant. Raises InvalidInput unless exactly one of the two is set."""
    if bool(message.turn_id) == bool(message.request_id):
        raise InvalidInput.at("turn_id", "set exactly one of turn_id and request_id")
    id = turn_id(message.turn_id) if message.turn_id else TurnId("")
    return id, names.request_id(message.request_id)


def turn_id(value: str) -> TurnId:
    """A turn's id. Raises InvalidInput where it can be none."""
    if not 1 <= len(value) <= _ID_LENGTH:
        raise InvalidInput.at("turn_id", f"must be 1 to {_ID_LENGTH} characters, from `started`")
    return TurnId(value)
