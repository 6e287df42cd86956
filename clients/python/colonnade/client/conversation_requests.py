"""Requests about conversations, and a conversation as it is exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask

from colonnade.client.chat_requests import new_request_id
from colonnade.client.names import conversation_name, message_name
from colonnade.client.paging import PAGE_SIZE
from colonnade.v1.conversations_pb2 import (
    Conversation,
    CreateConversationRequest,
    ExportConversationResponse,
    ListMessagesRequest,
    UpdateConversationRequest,
)
from colonnade.v1.messages_pb2 import Message


@dataclass(frozen=True, slots=True)
class ExportedConversation:
    """Everything that is kept of a conversation: the messages of all branches, oldest first."""

    conversation: Conversation
    messages: tuple[Message, ...]


def create_request(
    title: str, labels: Mapping[str, str] | None, request_id: str | None
) -> CreateConversationRequest:
    """A new conversation, made once however often this is sent."""
    return CreateConversationRequest(
        conversation=Conversation(title=title, labels=labels),
        request_id=request_id or new_request_id(),
    )


def update_request(
    conversation: str, title: str | None, labels: Mapping[str, str] | None, etag: str
) -> UpdateConversationRequest:
    """A change of what is not None."""
    given = {"title": title, "labels": labels}
    return UpdateConversationRequest(
        conversation=Conversation(
            name=conversation_name(conversation), title=title or "", labels=labels, etag=etag
        ),
        update_mask=FieldMask(paths=[path for path, value in given.items() if value is not None]),
    )


def messages_request(conversation: str, leaf: str, all_branches: bool) -> ListMessagesRequest:
    """The messages of the branch that ends at `leaf`, or of all branches."""
    return ListMessagesRequest(
        parent=conversation_name(conversation),
        page_size=PAGE_SIZE,
        leaf_message=message_name(conversation, leaf),
        all_branches=all_branches,
    )


def exported(pieces: Iterable[ExportConversationResponse]) -> ExportedConversation:
    """The pieces of an export, put together."""
    conversation, messages = Conversation(), []
    for piece in pieces:
        if piece.WhichOneof("item") == "conversation":
            conversation = piece.conversation
        else:
            messages.append(piece.message)
    return ExportedConversation(conversation, tuple(messages))
