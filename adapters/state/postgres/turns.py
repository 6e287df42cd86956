"""Turns on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any

from adapters.state.encoding.turns import TURN, turn_of
from adapters.state.encoding.values import micros
from adapters.state.postgres.session import PostgresSession
from adapters.state.rows.statements import Statement, select
from adapters.state.rows.turns import SqlTurnRows, id_of
from core.identifiers import ConversationId, MessageId, Seconds, TurnId
from core.turns.fencing import Extension
from core.turns.rows import Turn

# In one statement, and so of one moment: the head that the conversation has while this branch
# of it has that turn, or none.
_HEAD_AND_BUSY = select(
    ("home.head", *(f"turn.{column}" for column in TURN)),
    "FROM (SELECT * FROM conversation WHERE id = ?2 AND {mine}) AS home "
    "LEFT JOIN turn ON turn.conversation = home.id AND turn.tenant = home.tenant "
    "AND turn.parent = ?3 AND turn.state IN ('RUNNING', 'WAITING')",
)


# In the order of the list, which is that of the ids, as long as rows are looked up by them; where
# the server thinks otherwise, and waits in a circle, it is undone and tried again. IS TRUE keeps
# it from looking for the few among all that run.
_EXTEND = Statement(
    "UPDATE turn SET next_seq = turn.next_seq + one.number, "
    "released = turn.released OR one.released, "
    "lease_until = CASE WHEN deadline_at > ?10 THEN greatest(lease_until, ?9) "
    "ELSE lease_until END "
    "FROM unnest(?2::text[], ?3::bigint[], ?4::bigint[], ?5::text[], ?6::boolean[], "
    "?7::bigint[], ?8::boolean[]) AS one (id, epoch, first, cancel, detached, number, released) "
    "WHERE turn.id = one.id AND turn.epoch = one.epoch AND turn.next_seq = one.first "
    "AND coalesce(turn.cancel, '') = one.cancel AND turn.detached = one.detached "
    "AND (turn.state = 'RUNNING') IS TRUE AND {mine} RETURNING turn.id"
)


class PostgresTurnRows(SqlTurnRows):
    """See core.ports.turn_rows.TurnRows."""

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self._postgres = session

    async def extend(
        self, extensions: Sequence[Extension], now: datetime, lease: Seconds, hard: Seconds
    ) -> AbstractSet[TurnId]:
        """See TurnRows.extend."""
        ordered = sorted(extensions, key=lambda extension: extension.turn)
        columns: tuple[list[str], ...] = (
            [str(e.turn) for e in ordered],
            [str(e.epoch) for e in ordered],
            [str(e.first) for e in ordered],
            [e.cancel.value if e.cancel else "" for e in ordered],
            ["t" if e.detach else "f" for e in ordered],
            [str(e.added) for e in ordered],
            ["t" if e.released else "f" for e in ordered],
        )
        times = micros(now + timedelta(seconds=lease)), micros(now - timedelta(seconds=hard))
        lists = [self._session.texts(column) for column in columns]
        return set(await self._session.changed(id_of, _EXTEND, *lists, *times))

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
