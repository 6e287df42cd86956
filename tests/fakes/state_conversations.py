"""Conversations, messages and API keys, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.api_keys import ApiKey
from core.conversations import Conversation, Head, branch
from core.identifiers import ApiKeyId, ConversationId, MessageId, UserId
from core.messages import StoredMessage
from core.pages import Cursor
from core.ports.state import Scope, StoreConflict
from core.turns.rows import TurnState
from fakes.state_tables import Owned, Tables, View, admits, must_admit, tenant_of, time_in


class FakeConversationRows:
    """See core.ports.conversation_rows.ConversationRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def get(self, conversation: ConversationId) -> Conversation | None:
        found = (await self._view.read()).conversations.get(conversation)
        return found.row if found and admits(self._view.scope, found.tenant) else None

    async def list(self, owner: UserId, limit: int, after: Cursor | None) -> Sequence[Conversation]:
        found = (await self._view.read()).conversations.values()
        mine = [
            owned.row
            for owned in found
            if owned.row.owner == owner and admits(self._view.scope, owned.tenant)
        ]
        mine.sort(key=lambda row: row.id)
        mine.sort(key=lambda row: row.updated_at, reverse=True)
        if after is not None:
            at = time_in(after)
            mine = [
                row
                for row in mine
                if row.updated_at < at or (row.updated_at == at and row.id > after.id)
            ]
        return mine[:limit]

    async def heads(self, conversations: Sequence[ConversationId]) -> Mapping[ConversationId, Head]:
        tables = await self._view.read()
        busy = {
            (turn.conversation, turn.parent)
            for turn in tables.turns.values()
            if turn.state in (TurnState.RUNNING, TurnState.WAITING)
        }
        found = [tables.conversations.get(each) for each in conversations]
        return {
            home.row.id: Head(
                home.tenant, home.row.owner, home.row.head, (home.row.id, home.row.head) in busy
            )
            for home in found
            if home is not None and admits(self._view.scope, home.tenant)
        }

    def insert(self, conversation: Conversation) -> None:
        owned = Owned(tenant_of(self._view.scope), conversation)

        def change(tables: Tables) -> None:
            if conversation.id in tables.conversations:
                raise StoreConflict("the conversation's id is taken")
            tables.conversations[conversation.id] = owned

        self._view.write("conversations", change)

    def update(self, conversation: Conversation) -> None:
        def change(tables: Tables) -> None:
            old = tables.conversations.get(conversation.id)
            if old is not None and admits(self._view.scope, old.tenant):
                tables.conversations[conversation.id] = replace(old, row=conversation)

        self._view.write("conversations", change)

    def move_head(self, conversation: ConversationId, head: MessageId, at: datetime) -> None:
        def change(tables: Tables) -> None:
            old = tables.conversations.get(conversation)
            if old is not None and admits(self._view.scope, old.tenant):
                moved = replace(old.row, head=head, updated_at=at)
                tables.conversations[conversation] = replace(old, row=moved)

        self._view.write("conversations", change)

    def delete(self, conversation: ConversationId) -> None:
        self._view.write(
            "conversations", lambda tables: _delete(tables, self._view.scope, conversation)
        )

    def add_message(self, message: StoredMessage) -> None:
        def change(tables: Tables) -> None:
            home = tables.conversations.get(message.conversation)
            if home is None or not admits(self._view.scope, home.tenant):
                raise StoreConflict("the conversation is gone")
            if message.id in tables.messages:
                raise StoreConflict("the message's id is taken")
            tables.messages[message.id] = Owned(home.tenant, message)

        self._view.write("messages", change)

    async def message(
        self, conversation: ConversationId, message: MessageId
    ) -> StoredMessage | None:
        found = (await self._view.read()).messages.get(message)
        if found is None or not admits(self._view.scope, found.tenant):
            return None
        return found.row if found.row.conversation == conversation else None

    async def branch(
        self, conversation: ConversationId, head: MessageId, limit: int
    ) -> Sequence[StoredMessage]:
        rows = await self._of(conversation)
        return branch({row.id: row for row in rows}, head)[-limit:]

    async def messages(
        self, conversation: ConversationId, limit: int, after: Cursor | None
    ) -> Sequence[StoredMessage]:
        rows = sorted(await self._of(conversation), key=lambda row: (row.created_at, row.id))
        if after is not None:
            start = (time_in(after), after.id)
            rows = [row for row in rows if (row.created_at, row.id) > start]
        return rows[:limit]

    async def _of(self, conversation: ConversationId) -> Sequence[StoredMessage]:
        found = (await self._view.read()).messages.values()
        return [
            owned.row
            for owned in found
            if owned.row.conversation == conversation and admits(self._view.scope, owned.tenant)
        ]


def _delete(tables: Tables, scope: Scope, conversation: ConversationId) -> None:
    old = tables.conversations.get(conversation)
    if old is not None and admits(scope, old.tenant):
        del tables.conversations[conversation]
        tables.messages = {
            id: owned
            for id, owned in tables.messages.items()
            if owned.row.conversation != conversation
        }
    turns = {
        row.id
        for row in tables.turns.values()
        if row.conversation == conversation and admits(scope, row.tenant)
    }
    tables.idempotency = {
        key: record for key, record in tables.idempotency.items() if record.turn not in turns
    }
    for turn in turns:
        del tables.turns[turn]
        tables.executions.pop(turn, None)
    tables.events = {key: log for key, log in tables.events.items() if key[0] not in turns}


class FakeApiKeyRows:
    """See core.ports.api_key_rows.ApiKeyRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, digest: str) -> ApiKey | None:
        if isinstance(self._view.scope, str):
            raise ValueError("a key is looked up before its tenant is known")
        keys = (await self._view.read()).api_keys.values()
        return next((key for key in keys if key.digest == digest), None)

    async def list(self) -> Sequence[ApiKey]:
        keys = (await self._view.read()).api_keys.values()
        mine = [key for key in keys if admits(self._view.scope, key.tenant)]
        return sorted(mine, key=lambda key: (key.created_at, key.id))

    def insert(self, key: ApiKey) -> None:
        must_admit(self._view.scope, key.tenant)

        def change(tables: Tables) -> None:
            taken = any(key.digest == other.digest for other in tables.api_keys.values())
            if taken or key.id in tables.api_keys:
                raise StoreConflict("the key is taken")
            tables.api_keys[key.id] = key

        self._view.write("api_keys", change)

    def revoke(self, key: ApiKeyId, at: datetime) -> None:
        def change(tables: Tables) -> None:
            old = tables.api_keys.get(key)
            if old is None or not admits(self._view.scope, old.tenant):
                return
            if old.revoked_at is None:
                tables.api_keys[key] = replace(old, revoked_at=at)

        self._view.write("api_keys", change)
