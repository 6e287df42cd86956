"""Chat requests to domain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapters.grpc import generation, messages, names, values
from adapters.grpc.violations import below, check, each_of, known, together
from colonnade.v1 import chat_pb2, messages_pb2
from core.chat import (
    MAX_COLLECTIONS,
    MAX_ID,
    MAX_LANGUAGE,
    MAX_LINGER,
    MAX_NAME,
    UNSET,
    ChatRequest,
    Grounding,
    Mode,
    PromptChoice,
)
from core.errors import FieldViolation, InvalidInput
from core.identifiers import (
    CollectionName,
    ConversationId,
    MessageId,
    RequestId,
    TurnId,
)
from core.message_rules import MAX_TEXT
from core.messages import Message, Role
from core.replacing import replaced

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
_MOST = {
    "request_id": MAX_ID,
    "conversation": MAX_ID,
    "parent_message": MAX_ID,
    "collections": MAX_COLLECTIONS,
    "model": MAX_NAME,
    "feature": MAX_NAME,
    "language": MAX_LANGUAGE,
}
_USERS = (messages_pb2.ROLE_UNSPECIFIED, messages_pb2.ROLE_USER)
_LONGEST_PROMPT, _LONGEST_INPUT, _MOST_INPUTS = 200, 20_000, 50
_INPUT = re.compile(r"[A-Za-z0-9_]{1,64}")


def request(message: chat_pb2.ChatRequest) -> ChatRequest:
    """The domain's request. Raises InvalidInput with what is wrong in any of its parts."""
    try:
        given = _given(message)
        if _fits(given):
            return replaced(UNSET, **given)
        with below():
            return ChatRequest(**given)
    except InvalidInput:
        _tell_all(message)
        raise


def _given(message: chat_pb2.ChatRequest) -> dict[str, Any]:
    """The fields that are set, translated; and the message, without which there is no request."""
    given: dict[str, Any] = {"message": _message(message)}
    for field, _ in message.ListFields():
        if field.name in _READ:
            given[field.name] = _READ[field.name](message)
    return given


def _fits(given: Mapping[str, Any]) -> bool:
    """Whether the fields keep what ChatRequest asks of them, beyond their types.

    Its own constructor looks at all that may be set, and takes ten times as long.
    """
    for name in given:
        if name in _MOST and len(given[name]) > _MOST[name]:
            return False
    if "linger" in given and not 0 <= given["linger"] <= MAX_LINGER:
        return False
    return "turn_timeout" not in given or given["turn_timeout"] > 0


def _message(message: chat_pb2.ChatRequest) -> Message:
    """What the caller says. A text alone, as nearly all are, takes a way of its own."""
    said = message.message
    if len(said.parts) == 1 and said.role in _USERS and said.parts[0].HasField("text"):
        text = said.parts[0].text
        if len(text) <= MAX_TEXT and not (text == "" or text.isspace()):
            return Message.of(Role.USER, text)
    return messages.to_domain(said, "message")


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


_READ: Mapping[str, Callable[[chat_pb2.ChatRequest], object]] = {
    "request_id": lambda m: RequestId(m.request_id),
    "conversation": _conversation,
    "parent_message": _parent,
    "messages": lambda m: messages.all_to_domain(m.messages, "messages"),
    "mode": lambda m: known(_MODES, m.mode, "mode"),
    "collections": _collections,
    "filter": lambda m: generation.document_filter(m.filter),
    "model": lambda m: m.model,
    "constraints": lambda m: generation.constraints(m.constraints),
    "prompt": _prompt,
    "options": lambda m: generation.options(m.options),
    "grounding": lambda m: known(_GROUNDINGS, m.grounding, "grounding"),
    "feature": lambda m: m.feature,
    "detach": lambda m: m.detach,
    "linger": lambda m: values.seconds(m.linger),
    "turn_timeout": lambda m: values.seconds(m.turn_timeout),
    "accept_retractions": lambda m: m.accept_retractions,
    "language": lambda m: m.language,
}
"""What is made of each field of a request that is set; `message` is always read."""


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
