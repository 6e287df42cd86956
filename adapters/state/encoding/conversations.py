"""Conversations, messages and API keys as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adapters.state.encoding.values import (
    as_json,
    columns,
    map_json,
    map_of,
    micros,
    optional_micros,
    optional_time,
    text_list_json,
    texts,
    time_of,
)
from core.api_keys import ApiKey
from core.conversations import Conversation, Head
from core.grounding.citations import Citation
from core.identifiers import ApiKeyId, ConversationId, MessageId, TenantId, TurnId, UserId
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

ConversationRow = tuple[str, str, str, int, int, str | None, str, str]
CONVERSATION = columns("id owner title created_at updated_at head labels etag")

MessageRow = tuple[str, str, str | None, str, str, int, str | None, bool, str, str]
MESSAGE = columns("id conversation parent role parts created_at turn partial citations model")

ApiKeyRow = tuple[str, str, str, str, str, int, str, int | None, int | None]
API_KEY = columns("id tenant user_id digest scopes created_at label expires_at revoked_at")

_CITATION = columns(
    "start_byte end_byte cited_text number chunk document title uri source_start source_end quote "
    "collection headings"
)


def conversation_row(conversation: Conversation) -> ConversationRow:
    """A conversation in the order of CONVERSATION; its tenant is the transaction's."""
    return (
        conversation.id,
        conversation.owner,
        conversation.title,
        micros(conversation.created_at),
        micros(conversation.updated_at),
        conversation.head,
        map_json(conversation.labels),
        conversation.etag,
    )


def conversation_of(row: ConversationRow) -> Conversation:
    """The conversation of a row in the order of CONVERSATION."""
    return Conversation(
        id=ConversationId(row[0]),
        owner=UserId(row[1]),
        title=row[2],
        created_at=time_of(row[3]),
        updated_at=time_of(row[4]),
        head=MessageId(row[5]) if row[5] is not None else None,
        labels=map_of(row[6]),
        etag=row[7],
    )


def head_of(row: tuple[str, str, str, str | None, bool]) -> tuple[ConversationId, Head]:
    """The id and the head of a conversation, of a row of id, tenant, owner, head, busy."""
    head = MessageId(row[3]) if row[3] is not None else None
    return ConversationId(row[0]), Head(TenantId(row[1]), UserId(row[2]), head, bool(row[4]))


def message_row(stored: StoredMessage) -> MessageRow:
    """A message in the order of MESSAGE; its tenant is its conversation's."""
    return (
        stored.id,
        stored.conversation,
        stored.parent,
        stored.message.role.value,
        f"[{','.join(map(_part_json, stored.message.parts))}]",
        micros(stored.created_at),
        stored.turn,
        stored.partial,
        _citations_json(stored.citations),
        stored.model,
    )


def message_of(row: MessageRow) -> StoredMessage:
    """The message of a row in the order of MESSAGE."""
    parts = tuple(_part_of(part) for part in json.loads(row[4]))
    return StoredMessage(
        id=MessageId(row[0]),
        conversation=ConversationId(row[1]),
        parent=MessageId(row[2]) if row[2] is not None else None,
        message=Message(Role(row[3]), parts),
        created_at=time_of(row[5]),
        turn=TurnId(row[6]) if row[6] is not None else None,
        partial=bool(row[7]),
        citations=_citations_of(row[8]),
        model=row[9],
    )


def _part_json(part: Part) -> str:
    match part:
        case TextPart():
            return text_list_json(("text", part.text))
        case ImagePart():
            return text_list_json(("image", part.uri, part.media_type))
        case ToolCallPart():
            return text_list_json(("tool_call", part.call_id, part.tool, part.arguments))
        case ToolResultPart():
            return as_json(["tool_result", part.call_id, part.content, part.is_error])
        case ReasoningPart():
            return as_json(["reasoning", part.text, part.seal, part.wire])


def _part_of(encoded: list[str]) -> Part:
    match encoded:
        case ["text", text]:
            return TextPart(text)
        case ["image", uri, media_type]:
            return ImagePart(uri, media_type)
        case ["tool_call", call_id, tool, arguments]:
            return ToolCallPart(call_id, tool, arguments)
        case ["tool_result", call_id, content, is_error]:
            return ToolResultPart(call_id, content, bool(is_error))
        case ["reasoning", text, seal, wire]:
            return ReasoningPart(text, seal, wire)
    raise ValueError("the store holds a part of a message that this program does not know")


def _citations_json(citations: Sequence[Citation]) -> str:
    if not citations:
        return "[]"
    return as_json([[getattr(each, name) for name in _CITATION] for each in citations])


def _citations_of(encoded: str) -> tuple[Citation, ...]:
    if encoded == "[]":
        return ()
    return tuple(
        Citation(**{**dict(zip(_CITATION, values, strict=True)), "headings": tuple(values[-1])})
        for values in json.loads(encoded)
    )


def api_key_row(key: ApiKey) -> ApiKeyRow:
    """A key in the order of API_KEY."""
    return (
        key.id,
        key.tenant,
        key.user,
        key.digest,
        as_json(sorted(key.scopes)),
        micros(key.created_at),
        key.label,
        optional_micros(key.expires_at),
        optional_micros(key.revoked_at),
    )


def api_key_of(row: ApiKeyRow) -> ApiKey:
    """The key of a row in the order of API_KEY."""
    return ApiKey(
        id=ApiKeyId(row[0]),
        tenant=TenantId(row[1]),
        user=UserId(row[2]),
        digest=row[3],
        scopes=frozenset(texts(row[4])),
        created_at=time_of(row[5]),
        label=row[6],
        expires_at=optional_time(row[7]),
        revoked_at=optional_time(row[8]),
    )
