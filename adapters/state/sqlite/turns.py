"""Turns, their request ids and their log on SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from adapters.state.encoding.turns import (
    EVENT,
    EVENT_READ,
    IDEMPOTENCY,
    TURN,
    event_of,
    event_row,
    idempotency_of,
    idempotency_row,
    turn_of,
    turn_row,
)
from adapters.state.sqlite.session import Session
from adapters.state.sqlite.statements import insert, scoped, select, update
from core.identifiers import ConversationId, MessageId, TurnId
from core.turns.rows import IdempotencyKey, IdempotencyRecord, LoggedEvent, Turn

_GET = select(TURN, "FROM turn WHERE id = ?2 AND {mine}")
_LOCK = select(
    TURN, "FROM turn WHERE id IN (SELECT value FROM json_each(?2)) AND {mine} ORDER BY id"
)
_BUSY = select(
    TURN,
    "FROM turn WHERE conversation = ?2 AND parent = ?3 AND {mine} "
    "AND state IN ('RUNNING', 'WAITING')",
)
_ANY_BUSY = scoped(
    "SELECT 1 FROM turn WHERE conversation = ?2 AND {mine} "
    "AND state IN ('RUNNING', 'WAITING') LIMIT 1"
)
_RUNNING = select(
    TURN, "FROM turn WHERE state = 'RUNNING' AND {mine} ORDER BY created_at, id LIMIT ?2"
)
_INSERT = insert("turn", TURN)
# In two, because SQLite writes every index anew of which a column is set, changed or not: the
# columns in indexes are set only where they change, which is seldom, and the rest always.
_INDEXED = ("state", "conversation", "parent", "created_at")
_UPDATE = update("turn", TURN, ("id", "tenant"), leave=_INDEXED)
_UPDATE_INDEXED = (
    "UPDATE turn SET state = ?3, conversation = ?4, parent = ?5, created_at = ?6 "
    "WHERE id = ?1 AND tenant = ?2 "
    "AND (state, conversation, parent, created_at) IS NOT (?3, ?4, ?5, ?6)"
)

_PLACES = tuple(TURN.index(column) for column in _INDEXED)

_FIND = select(
    IDEMPOTENCY,
    "FROM idempotency WHERE tenant = ?2 AND user_id = ?3 AND operation = ?4 AND request_id = ?5 "
    "AND {mine}",
)
_INSERT_IDEMPOTENCY = insert("idempotency", IDEMPOTENCY)

_APPEND = insert("event", EVENT)
_READ = select(
    EVENT_READ, "FROM event WHERE turn = ?2 AND seq > ?3 AND {mine} ORDER BY seq LIMIT ?4"
)


class SqliteTurnRows:
    """See core.ports.state.TurnRows. The only writer holds every row, so a lock is a read."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, turn: TurnId) -> Turn | None:
        """See TurnRows.get."""
        return await self._session.one(turn_of, _GET, turn)

    async def lock(self, turns: Iterable[TurnId]) -> Mapping[TurnId, Turn]:
        """See TurnRows.lock."""
        ids = list(turns)
        found = self._session.all(turn_of, _LOCK, json.dumps(ids), rows=len(ids))
        return {row.id: row for row in await found}

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        """See TurnRows.busy."""
        return await self._session.one(turn_of, _BUSY, conversation, parent or "")

    async def any_busy(self, conversation: ConversationId) -> bool:
        """See TurnRows.any_busy."""
        return await self._session.one(bool, _ANY_BUSY, conversation) is not None

    async def running(self, limit: int) -> Sequence[Turn]:
        """See TurnRows.running."""
        return await self._session.all(turn_of, _RUNNING, limit, rows=limit)

    def insert(self, turn: Turn) -> None:
        """See TurnRows.insert."""
        self._session.admit(turn.tenant)
        self._session.write(_INSERT, turn_row(turn))

    def update(self, turn: Turn) -> None:
        """See TurnRows.update."""
        self._session.admit(turn.tenant)
        row = turn_row(turn)
        self._session.write(_UPDATE, row)
        self._session.write(_UPDATE_INDEXED, (turn.id, turn.tenant, *map(row.__getitem__, _PLACES)))


class SqliteIdempotencyRows:
    """See core.ports.state.IdempotencyRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        """See IdempotencyRows.find."""
        return await self._session.one(
            idempotency_of, _FIND, key.tenant, key.user, key.operation, key.request_id
        )

    def insert(self, record: IdempotencyRecord) -> None:
        """See IdempotencyRows.insert."""
        self._session.admit(record.key.tenant)
        self._session.write(_INSERT_IDEMPOTENCY, idempotency_row(record))


class SqliteEventRows:
    """See core.ports.state.EventRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        """See EventRows.append."""
        self._session.admit(turn.tenant)
        self._session.write(_APPEND, *(event_row(turn, event) for event in events))

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        """See EventRows.read."""
        return await self._session.all(event_of, _READ, turn, after, limit, rows=limit)
