"""Conversations and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.state.encoding.conversations import (
    CONVERSATION,
    MESSAGE,
    conversation_of,
    conversation_row,
    head_of,
    message_of,
    message_row,
)
from adapters.state.encoding.values import cursor_micros, micros
from adapters.state.rows.ranks import MESSAGE_INSERT, MOVE_HEAD
from adapters.state.rows.session import MANY_ROWS, Session
from adapters.state.rows.statements import Statement, insert, select
from core.conversations import Conversation, Head, branch
from core.identifiers import ConversationId, MessageId, UserId
from core.messages import StoredMessage
from core.pages import Cursor

_GET = select(CONVERSATION, "FROM conversation WHERE id = ?2 AND {mine}")
_HEADS = Statement(
    "SELECT id, tenant, owner, head, EXISTS (SELECT 1 FROM turn "
    "WHERE turn.tenant = conversation.tenant AND turn.conversation = conversation.id "
    "AND turn.parent = coalesce(conversation.head, '') AND turn.state IN ('RUNNING', 'WAITING')) "
    "FROM conversation WHERE {id in ?2} AND {mine}"
)
_LIST = select(
    CONVERSATION,
    "FROM conversation WHERE {mine} AND owner = ?2 ORDER BY updated_at DESC, id LIMIT ?3",
)
_LIST_AFTER = select(
    CONVERSATION,
    "FROM conversation WHERE {mine} AND owner = ?2 AND updated_at <= ?4 "
    "AND (updated_at < ?4 OR id > ?5) ORDER BY updated_at DESC, id LIMIT ?3",
)
_INSERT = insert("conversation", ("tenant", *CONVERSATION))
_UPDATE = Statement(
    "UPDATE conversation SET owner = ?3, title = ?4, created_at = ?5, updated_at = ?6, head = ?7, "
    "labels = ?8, etag = ?9 WHERE id = ?2 AND {mine}"
)
_MOVE_HEAD = Statement(
    "UPDATE conversation SET head = ?3, updated_at = ?4 WHERE id = ?2 AND {mine}", rank=MOVE_HEAD
)
_ITS_TURNS = "(SELECT id FROM turn WHERE conversation = ?2 AND {mine})"
_DELETE = tuple(
    Statement(sql.replace("{turns}", _ITS_TURNS))
    for sql in (
        "DELETE FROM event WHERE turn IN {turns}",
        "DELETE FROM execution WHERE turn IN {turns}",
        "DELETE FROM idempotency WHERE turn IN {turns}",
        "DELETE FROM turn WHERE conversation = ?2 AND {mine}",
        "DELETE FROM conversation WHERE id = ?2 AND {mine}",  # its messages go with it
    )
)

# The tenant is that of the conversation; where there is none, the row is refused.
_ADD_MESSAGE = Statement(
    "INSERT INTO message "
    "(id, tenant, conversation, parent, role, parts, created_at, turn, partial, citations, model) "
    "VALUES "
    "(?2, (SELECT tenant FROM conversation WHERE id = ?3 AND {mine}), "
    "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    rank=MESSAGE_INSERT,
)
_MESSAGE = select(MESSAGE, "FROM message WHERE id = ?3 AND conversation = ?2 AND {mine}")
# IS TRUE: a parent is looked up by its id, never among all messages of its conversation.
_BRANCH = select(
    MESSAGE,
    """
    FROM message WHERE id IN (
        WITH RECURSIVE path (id, parent, depth) AS (
            SELECT id, parent, 1 FROM message WHERE id = ?3 AND conversation = ?2 AND {mine}
            UNION ALL
            SELECT message.id, message.parent, path.depth + 1
            FROM path JOIN message ON message.id = path.parent
            WHERE (message.conversation = ?2) IS TRUE AND path.depth < ?4
        )
        SELECT id FROM path
    )
    """,
)
_MESSAGES = select(
    MESSAGE, "FROM message WHERE conversation = ?2 AND {mine} ORDER BY created_at, id LIMIT ?3"
)
_MESSAGES_AFTER = select(
    MESSAGE,
    "FROM message WHERE conversation = ?2 AND {mine} AND (created_at, id) > (?4, ?5) "
    "ORDER BY created_at, id LIMIT ?3",
)


class SqlConversationRows:
    """See core.ports.conversation_rows.ConversationRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, conversation: ConversationId) -> Conversation | None:
        """See ConversationRows.get."""
        return await self._session.one(conversation_of, _GET, conversation)

    async def heads(self, conversations: Sequence[ConversationId]) -> Mapping[ConversationId, Head]:
        """See ConversationRows.heads."""
        ids, count = self._session.texts(conversations), len(conversations)
        return dict(await self._session.all(head_of, _HEADS, ids, rows=count))

    async def list(self, owner: UserId, limit: int, after: Cursor | None) -> Sequence[Conversation]:
        """See ConversationRows.list."""
        if after is None:
            return await self._session.all(conversation_of, _LIST, owner, limit, rows=limit)
        at = cursor_micros(after.sort_key)
        return await self._session.all(
            conversation_of, _LIST_AFTER, owner, limit, at, after.id, rows=limit
        )

    def insert(self, conversation: Conversation) -> None:
        """See ConversationRows.insert."""
        tenant = self._session.own_tenant()
        self._session.write(_INSERT, (tenant, *conversation_row(conversation)))

    def update(self, conversation: Conversation) -> None:
        """See ConversationRows.update."""
        self._session.write_scoped(_UPDATE, *conversation_row(conversation))

    def move_head(self, conversation: ConversationId, head: MessageId, at: datetime) -> None:
        """See ConversationRows.move_head."""
        self._session.write_scoped(_MOVE_HEAD, conversation, head, micros(at))

    def delete(self, conversation: ConversationId) -> None:
        """See ConversationRows.delete."""
        for statement in _DELETE:
            self._session.write_scoped(statement, conversation, rows=MANY_ROWS)

    def add_message(self, message: StoredMessage) -> None:
        """See ConversationRows.add_message."""
        self._session.write_scoped(_ADD_MESSAGE, *message_row(message))

    async def message(
        self, conversation: ConversationId, message: MessageId
    ) -> StoredMessage | None:
        """See ConversationRows.message."""
        return await self._session.one(message_of, _MESSAGE, conversation, message)

    async def branch(
        self, conversation: ConversationId, head: MessageId, limit: int
    ) -> Sequence[StoredMessage]:
        """See ConversationRows.branch."""
        found = await self._session.all(message_of, _BRANCH, conversation, head, limit, rows=limit)
        return branch({row.id: row for row in found}, head)

    async def messages(
        self, conversation: ConversationId, limit: int, after: Cursor | None
    ) -> Sequence[StoredMessage]:
        """See ConversationRows.messages."""
        if after is None:
            return await self._session.all(message_of, _MESSAGES, conversation, limit, rows=limit)
        at = cursor_micros(after.sort_key)
        return await self._session.all(
            message_of, _MESSAGES_AFTER, conversation, limit, at, after.id, rows=limit
        )
