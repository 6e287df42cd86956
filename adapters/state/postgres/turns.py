"""Turns on PostgreSQL."""

from __future__ import annotations

from typing import Any

from adapters.state.encoding.turns import TURN, turn_of
from adapters.state.postgres.session import PostgresSession
from adapters.state.rows.statements import Statement, select
from adapters.state.rows.turns import SqlTurnRows
from core.identifiers import ConversationId, MessageId, TurnId
from core.turns.rows import Turn

# In one statement, and so of one moment: the head that the conversation has while this branch
# of it has that turn, or none.
_HEAD_AND_BUSY = select(
    ("home.head", *(f"turn.{column}" for column in TURN)),
    "FROM (SELECT * FROM conversation WHERE id = ?2 AND {mine}) AS home "
    "LEFT JOIN turn ON turn.conversation = home.id AND turn.tenant = home.tenant "
    "AND turn.parent = ?3 AND turn.state IN ('RUNNING', 'WAITING')",
)


# Locked in order of id before any is changed.
_EXTEND = Statement(
    "WITH one AS (SELECT value ->> 0 AS id, (value ->> 1)::int AS epoch, (value ->> 2)::int AS "
    "first, (value ->> 3)::int AS number, (value ->> 4)::boolean AS released "
    "FROM jsonb_array_elements(?2::text::jsonb)), "
    "held AS (SELECT turn.id FROM turn JOIN one ON turn.id = one.id "
    "ORDER BY turn.id {locked} OF turn) "
    "UPDATE turn SET next_seq = turn.next_seq + one.number, "
    "released = turn.released OR one.released, "
    "lease_until = CASE WHEN deadline_at > ?4::bigint THEN greatest(lease_until, ?3::bigint) "
    "ELSE lease_until END FROM one JOIN held ON held.id = one.id WHERE turn.id = one.id "
    "AND turn.epoch = one.epoch AND turn.next_seq = one.first AND turn.state = 'RUNNING' "
    "AND {mine} RETURNING turn.id, turn.cancel, turn.detached"
)


class PostgresTurnRows(SqlTurnRows):
    """See core.ports.state.TurnRows."""

    extends = _EXTEND

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self._postgres = session

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        """See TurnRows.busy.

        StoreConflict where the conversation that this transaction read has another head by now:
        the turn that moved it has just ended, and its answer belongs before the next question.
        """
        seen = self._postgres.seen.get(conversation)
        if seen is None:
            return await super().busy(conversation, parent)
        found = await self._postgres.one(_as_it_is, _HEAD_AND_BUSY, conversation, parent or "")
        if found is None or found[0] != seen.head:
            raise self._postgres.contradict()
        return None if found[1] is None else turn_of(found[1:])

    async def any_busy(self, conversation: ConversationId) -> TurnId | None:
        """See TurnRows.any_busy."""
        busy = await super().any_busy(conversation)
        if busy is None:
            self._postgres.idle.add(conversation)
        return busy


def _as_it_is(row: tuple[Any, ...]) -> tuple[Any, ...]:  # Any: the columns of a turn, after one
    return row
