"""The tables of conversations and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.conversations import Conversation, Head, branch
from core.identifiers import ConversationId, MessageId, TenantId, UserId
from core.messages import StoredMessage
from core.pages import Cursor
from core.ports.state import StoreConflict
from simulation.store_rows import Table, View, busy_on

ACME = TenantId("acme")


class ConversationTable(Table):
    """See core.ports.conversation_rows.ConversationRows; what turns do not ask for is left out."""

    async def get(self, conversation: ConversationId) -> Conversation | None:
        return await self._tx.read(lambda view: view.of("conversations").get(conversation))

    async def heads(self, conversations: Sequence[ConversationId]) -> Mapping[ConversationId, Head]:
        def read(view: View) -> Mapping[ConversationId, Head]:
            rows, found = view.of("conversations"), {}
            for id in conversations:
                if (row := rows.get(id)) is not None:
                    busy = next(busy_on(view, id, row.head), None) is not None
                    found[id] = Head(ACME, row.owner, row.head, busy)
            return found

        return await self._tx.read(read)

    def insert(self, conversation: Conversation) -> None:
        key = conversation.id
        self._tx.write(
            [("conversations", key)], lambda view: view.put("conversations", key, conversation)
        )

    update = insert

    def move_head(self, conversation: ConversationId, head: MessageId, at: datetime) -> None:
        def change(view: View) -> None:
            row = view.of("conversations").get(conversation)
            if row is not None:
                moved = replace(row, head=head, updated_at=at)
                view.put("conversations", conversation, moved)

        self._tx.write([("conversations", conversation)], change)

    def add_message(self, message: StoredMessage) -> None:
        def change(view: View) -> None:
            if message.id in view.of("messages"):
                raise StoreConflict("the message's id is taken")
            view.put("messages", message.id, message)

        self._tx.write([("messages", message.id)], change)

    async def message(
        self, conversation: ConversationId, message: MessageId
    ) -> StoredMessage | None:
        return await self._tx.read(lambda view: view.of("messages").get(message))

    async def branch(
        self, conversation: ConversationId, head: MessageId, limit: int
    ) -> Sequence[StoredMessage]:
        def read(view: View) -> Sequence[StoredMessage]:
            rows = {k: m for k, m in view.of("messages").items() if m.conversation == conversation}
            return branch(rows, head)[-limit:]  # type: ignore[arg-type]

        return await self._tx.read(read)

    async def list(self, owner: UserId, limit: int, after: Cursor | None) -> Sequence[Conversation]:
        raise NotImplementedError

    async def messages(
        self, conversation: ConversationId, limit: int, after: Cursor | None
    ) -> Sequence[StoredMessage]:
        raise NotImplementedError

    def delete(self, conversation: ConversationId) -> None:
        raise NotImplementedError
