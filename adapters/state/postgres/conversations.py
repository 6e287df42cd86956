"""Conversations on PostgreSQL, where others may change what was read without a lock.

A lock on the conversation would make a claim and a settlement wait for each other in a circle.
Instead a write says what it rests on, and is refused (StoreConflict) where that has changed.
"""

from __future__ import annotations

from functools import lru_cache

from adapters.state.encoding.conversations import CONVERSATION, conversation_row
from adapters.state.postgres.session import PostgresSession
from adapters.state.rows.conversations import SqlConversationRows
from adapters.state.rows.statements import Statement
from core.conversations import Conversation
from core.identifiers import ConversationId

_HOLD = Statement("SELECT id FROM conversation WHERE id = ?2 AND {mine} FOR UPDATE")
_BUSY = Statement(
    "SELECT id FROM turn WHERE conversation = ?2 AND {mine} "
    "AND state IN ('RUNNING', 'WAITING') LIMIT 1"
)
_ETAG = CONVERSATION.index("etag")


class PostgresConversationRows(SqlConversationRows):
    """See core.ports.conversation_rows.ConversationRows."""

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self._postgres = session

    async def get(self, conversation: ConversationId) -> Conversation | None:
        """See ConversationRows.get."""
        found = await super().get(conversation)
        if found is not None and self._postgres.writable:
            self._postgres.seen[conversation] = found
        return found

    def update(self, conversation: Conversation) -> None:
        """See ConversationRows.update. Of a row that was read, what changed is written.

        So that a turn that moves the head leaves alone a title that is changed meanwhile. A
        change of the etag rests on the one that was read.
        """
        seen = self._postgres.seen.get(conversation.id)
        if seen is None:
            super().update(conversation)
            return
        self._postgres.seen[conversation.id] = conversation
        old, new = conversation_row(seen), conversation_row(conversation)
        changed = tuple(at for at in range(len(new)) if old[at] != new[at])
        values = [new[at] for at in changed]
        if _ETAG in changed:
            statement = _update_of(changed, guarded=True)
            self._postgres.write_if(statement, conversation.id, seen.etag, *values, present=True)
        elif changed:
            statement = _update_of(changed, guarded=False)
            self._postgres.write_scoped(statement, conversation.id, *values)

    def delete(self, conversation: ConversationId) -> None:
        """See ConversationRows.delete. Who adds to it meanwhile comes before or not at all."""
        self._postgres.write_scoped(_HOLD, conversation)
        if conversation in self._postgres.idle:
            self._postgres.write_if(_BUSY, conversation, present=False)
        self._postgres.seen.pop(conversation, None)
        super().delete(conversation)


@lru_cache(maxsize=256)
def _update_of(changed: tuple[int, ...], *, guarded: bool) -> Statement:
    """The statement that sets these columns."""
    first = 4 if guarded else 3
    places = ", ".join(f"{CONVERSATION[at]} = ?{n}" for n, at in enumerate(changed, first))
    rest = "AND etag = ?3 RETURNING id" if guarded else ""
    return Statement(f"UPDATE conversation SET {places} WHERE id = ?2 AND {{mine}} {rest}")  # noqa: S608 - our names
