"""The state's rows about conversations and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from core.conversations import Conversation, Head
from core.identifiers import ConversationId, MessageId, UserId
from core.messages import StoredMessage
from core.pages import Cursor


class ConversationRows(Protocol):
    """Conversations and their messages. A conversation belongs to a user of a tenant."""

    async def get(self, conversation: ConversationId) -> Conversation | None:
        """The row; None also where it is another tenant's."""

    async def heads(self, conversations: Sequence[ConversationId]) -> Mapping[ConversationId, Head]:
        """Where each of them goes on by default, and whether it is busy; all of one moment."""

    async def list(self, owner: UserId, limit: int, after: Cursor | None) -> Sequence[Conversation]:
        """Newest update first, ties by id; the cursor is (updated_at in ISO 8601, id)."""

    def insert(self, conversation: Conversation) -> None:
        """A new row; StoreConflict where the id is taken."""

    def update(self, conversation: Conversation) -> None:
        """Replace a row."""

    def move_head(self, conversation: ConversationId, head: MessageId, at: datetime) -> None:
        """Its newest message is this one since then; all else of the row is left alone."""

    def delete(self, conversation: ConversationId) -> None:
        """Delete it with its messages, turns, their events, idempotency and execution records.

        The attempts and the ledger stay: what was spent was spent.
        """

    def add_message(self, message: StoredMessage) -> None:
        """A new message; StoreConflict where the id is taken, or there is no such conversation."""

    async def message(
        self, conversation: ConversationId, message: MessageId
    ) -> StoredMessage | None:
        """One message of the conversation."""

    async def branch(
        self, conversation: ConversationId, head: MessageId, limit: int
    ) -> Sequence[StoredMessage]:
        """Up to `limit` messages from `head` upwards, returned oldest first."""

    async def messages(
        self, conversation: ConversationId, limit: int, after: Cursor | None
    ) -> Sequence[StoredMessage]:
        """All branches' messages, oldest first, ties by id; the cursor is (created_at, id)."""
