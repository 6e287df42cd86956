"""Conversations, for the asyncio client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from colonnade.client import conversation_requests as requests
from colonnade.client.aio.calls import AsyncCalls
from colonnade.client.conversation_requests import ExportedConversation
from colonnade.client.names import conversation_name
from colonnade.client.paging import PAGE_SIZE
from colonnade.client.timing import CALL_TIMEOUT
from colonnade.v1.conversations_pb2 import (
    Conversation,
    DeleteConversationRequest,
    ExportConversationRequest,
    GetConversationRequest,
    ListConversationsRequest,
)
from colonnade.v1.messages_pb2 import Message

if TYPE_CHECKING:
    from colonnade.v1.conversations_pb2_grpc import ConversationServiceAsyncStub


class AsyncConversations:
    """`client.conversations`. A conversation is named by its id or by its resource name.

    `timeout` is in seconds, for each call; lists make one call a page. All raise ColonnadeError.
    """

    def __init__(self, calls: AsyncCalls, stub: ConversationServiceAsyncStub) -> None:
        self._calls = calls
        self._stub = stub

    async def create(
        self,
        title: str = "",
        labels: Mapping[str, str] | None = None,
        *,
        request_id: str | None = None,
        timeout: float = CALL_TIMEOUT,
    ) -> Conversation:
        """Create an empty conversation."""
        request = requests.create_request(title, labels, request_id)
        return await self._calls.unary(self._stub.CreateConversation, request, timeout)

    async def get(self, conversation: str, *, timeout: float = CALL_TIMEOUT) -> Conversation:
        """A conversation, without its messages."""
        request = GetConversationRequest(name=conversation_name(conversation))
        return await self._calls.unary(self._stub.GetConversation, request, timeout)

    def list(self, *, timeout: float = CALL_TIMEOUT) -> AsyncIterator[Conversation]:
        """The caller's conversations, the last updated first."""
        return self._calls.paged(
            self._stub.ListConversations,
            ListConversationsRequest(page_size=PAGE_SIZE),
            lambda page: page.conversations,
            timeout,
        )

    async def update(
        self,
        conversation: str,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
        timeout: float = CALL_TIMEOUT,
    ) -> Conversation:
        """Change what is given. With the `etag` that it was read with, only if it is the same."""
        request = requests.update_request(conversation, title, labels, etag)
        return await self._calls.unary(self._stub.UpdateConversation, request, timeout)

    async def delete(
        self, conversation: str, *, allow_missing: bool = False, timeout: float = CALL_TIMEOUT
    ) -> None:
        """Delete a conversation with its messages and turns."""
        request = DeleteConversationRequest(
            name=conversation_name(conversation), allow_missing=allow_missing
        )
        await self._calls.unary(self._stub.DeleteConversation, request, timeout)

    def messages(
        self,
        conversation: str,
        *,
        leaf_message: str = "",
        all_branches: bool = False,
        timeout: float = CALL_TIMEOUT,
    ) -> AsyncIterator[Message]:
        """The messages of the branch that ends at `leaf_message` (the head), oldest first."""
        request = requests.messages_request(conversation, leaf_message, all_branches)
        return self._calls.paged(
            self._stub.ListMessages, request, lambda page: page.messages, timeout
        )

    async def export(
        self, conversation: str, *, timeout: float = CALL_TIMEOUT
    ) -> ExportedConversation:
        """Everything that is kept of a conversation."""
        request = ExportConversationRequest(name=conversation_name(conversation))
        pieces = self._calls.streamed(self._stub.ExportConversation, request, timeout)
        return requests.exported([piece async for piece in pieces])
