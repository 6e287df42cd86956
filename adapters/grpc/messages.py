"""Messages and their parts, between contract and domain."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.grpc import event_messages, names, values
from adapters.grpc.violations import check, each_of
from colonnade.v1 import messages_pb2
from core.errors import InvalidInput
from core.identifiers import ConversationId, MessageId
from core.message_rules import message_violations
from core.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    StoredMessage,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_MOST_PARTS, _MOST_MESSAGES = 50, 100
_ROLES = {
    messages_pb2.ROLE_UNSPECIFIED: Role.USER,
    messages_pb2.ROLE_SYSTEM: Role.SYSTEM,
    messages_pb2.ROLE_DEVELOPER: Role.DEVELOPER,
    messages_pb2.ROLE_USER: Role.USER,
    messages_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    messages_pb2.ROLE_TOOL: Role.TOOL,
}
_ROLE_NUMBERS = {
    role: number for number, role in _ROLES.items() if number != messages_pb2.ROLE_UNSPECIFIED
}


def to_domain(message: messages_pb2.Message, field: str) -> Message:
    """A caller's message. Raises InvalidInput below `field`."""
    if message.role not in _ROLES:
        raise InvalidInput.at(f"{field}.role", "is no role that this server knows")
    if not 1 <= len(message.parts) <= _MOST_PARTS:
        raise InvalidInput.at(
            f"{field}.parts", f"has {len(message.parts)} parts; 1 to {_MOST_PARTS} are taken"
        )
    parts = tuple(
        _part(part, f"{field}.parts[{index}]") for index, part in enumerate(message.parts)
    )
    made = Message(_ROLES[message.role], parts)
    check(message_violations(made, field))
    return made


def all_to_domain(given: Sequence[messages_pb2.Message], field: str) -> tuple[Message, ...]:
    """A caller's messages. Raises InvalidInput with all that is wrong in any of them."""
    if len(given) > _MOST_MESSAGES:
        raise InvalidInput.at(field, f"has {len(given)} messages; at most {_MOST_MESSAGES}")
    return each_of(to_domain, given, field)


def _part(part: messages_pb2.Part, field: str) -> Part:
    match part.WhichOneof("content"):
        case "text":
            return TextPart(part.text)
        case "image":
            return ImagePart(part.image.uri, part.image.media_type)
        case "tool_call":
            call = part.tool_call
            return ToolCallPart(call.call_id, call.tool, call.arguments_json or "{}")
        case "tool_result":
            result = part.tool_result
            return ToolResultPart(result.call_id, result.content, result.failed)
        case "thoughts":
            return ReasoningPart(part.thoughts.text, part.thoughts.seal, part.thoughts.format)
        case _:
            raise InvalidInput.at(
                field, "is empty; set one of text, image, tool_call, tool_result, thoughts"
            )


def from_stored(stored: StoredMessage) -> messages_pb2.Message:
    """A message of a conversation, with its place in it."""
    return messages_pb2.Message(
        name=names.message_name(stored.conversation, stored.id),
        role=_ROLE_NUMBERS[stored.message.role],
        parts=[
            _part_message(part)
            for part in stored.message.parts
            if not isinstance(part, ReasoningPart)
        ],
        parent_message=names.message_name(stored.conversation, stored.parent),
        turn_id=stored.turn or "",
        create_time=values.timestamp(stored.created_at),
        citations=[event_messages.citation(citation) for citation in stored.citations],
        partial=stored.partial,
        model=stored.model,
    )


def answer(
    text: str,
    conversation: ConversationId | None,
    id: MessageId | None,
    *,
    citations: list[messages_pb2.Citation],
    partial: bool,
    model: str,
) -> messages_pb2.Message:
    """An assistant's message, stored or not."""
    return messages_pb2.Message(
        name=names.message_name(conversation, id),
        role=messages_pb2.ROLE_ASSISTANT,
        parts=[messages_pb2.Part(text=text)],
        citations=citations,
        partial=partial,
        model=model,
    )


def _part_message(
    part: TextPart | ImagePart | ToolCallPart | ToolResultPart,
) -> messages_pb2.Part:
    match part:
        case TextPart(text):
            return messages_pb2.Part(text=text)
        case ImagePart(uri, media_type):
            return messages_pb2.Part(image=messages_pb2.Image(uri=uri, media_type=media_type))
        case ToolCallPart(call_id, tool, arguments):
            call = messages_pb2.ToolCall(call_id=call_id, tool=tool, arguments_json=arguments)
            return messages_pb2.Part(tool_call=call)
        case ToolResultPart(call_id, content, is_error):
            result = messages_pb2.ToolResult(call_id=call_id, content=content, failed=is_error)
            return messages_pb2.Part(tool_result=result)
