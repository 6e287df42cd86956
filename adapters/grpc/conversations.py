"""ConversationService: translation, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from google.protobuf import empty_pb2

from adapters.grpc import messages, names, values
from adapters.grpc.violations import below, together
from colonnade.v1 import conversations_pb2
from core.call import Call
from core.conversations import Conversation, ConversationContent
from core.errors import InvalidInput
from core.identifiers import RequestId
from core.pages import PageRequest
from services.conversations import ConversationChange, Conversations

_PATHS = ("title", "labels")


class ConversationServicer:
    """One function a method of the contract."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def CreateConversation(
        self, request: conversations_pb2.CreateConversationRequest, call: Call
    ) -> conversations_pb2.Conversation:
        """A new conversation."""
        wanted = request.conversation
        together(lambda: names.request_id(request.request_id), lambda: _content(wanted))
        call.facts.request_id = RequestId(request.request_id)
        made = await self._conversations.create(
            call, _content(wanted), RequestId(request.request_id)
        )
        return _conversation(made)

    async def GetConversation(
        self, request: conversations_pb2.GetConversationRequest, call: Call
    ) -> conversations_pb2.Conversation:
        """One conversation."""
        id = names.conversation_id(request.name, "name")
        return _conversation(await self._conversations.get(call, id))

    async def ListConversations(
        self, request: conversations_pb2.ListConversationsRequest, call: Call
    ) -> conversations_pb2.ListConversationsResponse:
        """The caller's own."""
        page = await self._conversations.list(
            call, PageRequest.of(request.page_size, request.page_token)
        )
        return conversations_pb2.ListConversationsResponse(
            conversations=[_conversation(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateConversation(
        self, request: conversations_pb2.UpdateConversationRequest, call: Call
    ) -> conversations_pb2.Conversation:
        """The changed conversation."""
        wanted = request.conversation
        together(
            lambda: names.conversation_id(wanted.name, "conversation.name"),
            lambda: _paths(request),
            lambda: _content(wanted),
        )
        id = names.conversation_id(wanted.name, "conversation.name")
        paths, content = _paths(request), _content(wanted)
        change = ConversationChange(
            title=content.title if "title" in paths else None,
            labels=content.labels if "labels" in paths else None,
            etag=wanted.etag,
        )
        return _conversation(await self._conversations.update(call, id, change))

    async def DeleteConversation(
        self, request: conversations_pb2.DeleteConversationRequest, call: Call
    ) -> empty_pb2.Empty:
        """Gone, with its messages."""
        id = names.conversation_id(request.name, "name")
        await self._conversations.delete(call, id, allow_missing=request.allow_missing)
        return empty_pb2.Empty()

    async def ListMessages(
        self, request: conversations_pb2.ListMessagesRequest, call: Call
    ) -> conversations_pb2.ListMessagesResponse:
        """The messages of one branch, or of all."""
        id = names.conversation_id(request.parent, "parent")
        page = PageRequest.of(request.page_size, request.page_token)
        if request.all_branches:
            if request.leaf_message:
                raise InvalidInput.at("leaf_message", "not with all_branches")
            found = await self._conversations.messages(call, id, page)
        else:
            leaf = None
            if request.leaf_message:
                conversation, leaf = names.message_id(request.leaf_message, "leaf_message")
                if conversation != id:
                    raise InvalidInput.at("leaf_message", "must be a message of `parent`")
            found = await self._conversations.branch(call, id, leaf, page)
        return conversations_pb2.ListMessagesResponse(
            messages=[messages.from_stored(item) for item in found.items],
            next_page_token=found.next_token,
        )

    async def ExportConversation(
        self, request: conversations_pb2.ExportConversationRequest, call: Call
    ) -> AsyncGenerator[conversations_pb2.ExportConversationResponse, None]:
        """The conversation, then all its messages."""
        id = names.conversation_id(request.name, "name")
        conversation = await self._conversations.get(call, id)
        yield conversations_pb2.ExportConversationResponse(conversation=_conversation(conversation))
        async with aclosing(self._conversations.export(call, id)) as pages:
            async for page in pages:
                for stored in page:
                    yield conversations_pb2.ExportConversationResponse(
                        message=messages.from_stored(stored)
                    )


def _conversation(value: Conversation) -> conversations_pb2.Conversation:
    return conversations_pb2.Conversation(
        name=names.conversation_name(value.id),
        title=value.title,
        labels=value.labels,
        head_message=names.message_name(value.id, value.head),
        create_time=values.timestamp(value.created_at),
        update_time=values.timestamp(value.updated_at),
        etag=value.etag,
    )


def _content(value: conversations_pb2.Conversation) -> ConversationContent:
    with below("conversation"):
        return ConversationContent(title=value.title, labels=dict(value.labels))


def _paths(request: conversations_pb2.UpdateConversationRequest) -> Sequence[str]:
    """What is to be changed: what the mask names, or whatever is not empty."""
    for path in request.update_mask.paths:
        if path not in _PATHS:
            raise InvalidInput.at(
                "update_mask", f"{path[:64]!r} can't be changed; {' and '.join(_PATHS)} can"
            )
    filled = [path for path in _PATHS if getattr(request.conversation, path)]
    return list(request.update_mask.paths) or filled
