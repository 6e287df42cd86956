"""Turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from adapters.state.encoding.turns import COMPACT, FORGET, TURN, turn_of, turn_row
from adapters.state.encoding.values import cursor_micros, micros
from adapters.state.rows.ranks import TURN_INSERT, TURN_UPDATE
from adapters.state.rows.session import Session
from adapters.state.rows.statements import Statement, insert, select, update
from core.identifiers import ConversationId, MessageId, TurnId
from core.pages import Cursor
from core.turns.rows import Turn, TurnState

_GET = select(TURN, "FROM turn WHERE id = ?2 AND {mine}")
_LOCK = select(TURN, "FROM turn WHERE {id in ?2} AND {mine} ORDER BY id {locked}")
_LOCK_FREE = select(TURN, "FROM turn WHERE {id in ?2} AND {mine} ORDER BY id {free}")
_BUSY = select(
    TURN,
    "FROM turn WHERE conversation = ?2 AND parent = ?3 AND {mine} "
    "AND state IN ('RUNNING', 'WAITING')",
)
_ANY_BUSY = Statement(
    "SELECT id FROM turn WHERE conversation = ?2 AND {mine} "
    "AND state IN ('RUNNING', 'WAITING') ORDER BY id LIMIT 1"
)
_RUNNING = select(
    TURN, "FROM turn WHERE state = 'RUNNING' AND {mine} ORDER BY created_at, id LIMIT ?2"
)
_DUE = select(
    TURN,
    "FROM turn WHERE state = 'RUNNING' AND (lease_until < ?3 OR deadline_at < ?4) AND {mine} "
    "ORDER BY created_at, id LIMIT ?2",
)
_TO_WAKE = select(
    TURN,
    "FROM turn WHERE state = 'WAITING' AND {mine} "
    "AND (decision IS NOT NULL OR cancel IS NOT NULL OR wait_until < ?3) "
    "ORDER BY created_at, id LIMIT ?2",
)
_TO_SWEEP = select(
    TURN,
    "FROM turn WHERE sweep = ?3 AND ended_at < ?4 AND {mine} ORDER BY ended_at, id LIMIT ?2",
)
_LIST = select(
    TURN,
    "FROM turn WHERE state = ?3 AND {mine} AND created_at <= ?4 "
    "AND (created_at < ?4 OR id > ?5) ORDER BY created_at DESC, id LIMIT ?2",
)
_FROM_THE_NEWEST = 2**63 - 1
_INSERT = insert("turn", TURN, rank=TURN_INSERT)
_UPDATE = update("turn", TURN, ("id", "tenant"), rank=TURN_UPDATE)


class SqlTurnRows:
    """See core.ports.turn_rows.TurnRows, but for `extend`, which each database does in its way."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, turn: TurnId) -> Turn | None:
        """See TurnRows.get."""
        return await self._session.one(turn_of, _GET, turn)

    async def lock(self, turns: Iterable[TurnId], *, wait: bool = True) -> Mapping[TurnId, Turn]:
        """See TurnRows.lock."""
        ids = list(turns)
        statement = _LOCK if wait else _LOCK_FREE
        found = self._session.all(turn_of, statement, self._session.texts(ids), rows=len(ids))
        return {row.id: row for row in await found}

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        """See TurnRows.busy."""
        return await self._session.one(turn_of, _BUSY, conversation, parent or "")

    async def any_busy(self, conversation: ConversationId) -> TurnId | None:
        """See TurnRows.any_busy."""
        return await self._session.one(id_of, _ANY_BUSY, conversation)

    async def running(self, limit: int) -> Sequence[Turn]:
        """See TurnRows.running."""
        return await self._session.all(turn_of, _RUNNING, limit, rows=limit)

    async def due(
        self, lease_before: datetime, deadline_before: datetime, limit: int
    ) -> Sequence[Turn]:
        """See TurnRows.due. Reads the running ones, which are few."""
        times = micros(lease_before), micros(deadline_before)
        return await self._session.all(turn_of, _DUE, limit, *times, rows=limit)

    async def to_wake(self, now: datetime, limit: int) -> Sequence[Turn]:
        """See TurnRows.to_wake."""
        return await self._session.all(turn_of, _TO_WAKE, limit, micros(now), rows=limit)

    async def to_forget(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        """See TurnRows.to_forget."""
        return await self._to_sweep(FORGET, ended_before, limit)

    async def to_compact(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        """See TurnRows.to_compact."""
        return await self._to_sweep(COMPACT, ended_before, limit)

    async def _to_sweep(self, step: str, ended_before: datetime, limit: int) -> Sequence[Turn]:
        before = micros(ended_before)
        return await self._session.all(turn_of, _TO_SWEEP, limit, step, before, rows=limit)

    async def list(
        self, states: AbstractSet[TurnState], limit: int, after: Cursor | None
    ) -> Sequence[Turn]:
        """See TurnRows.list. Each state's newest are read, and of them the newest are taken."""
        at = _FROM_THE_NEWEST if after is None else cursor_micros(after.sort_key)
        last = "" if after is None else after.id
        found: list[Turn] = []
        for state in [state.value for state in states] or [""]:  # a read, even of no state
            found += await self._session.all(turn_of, _LIST, limit, state, at, last, rows=limit)
        found.sort(key=lambda turn: turn.id)
        found.sort(key=lambda turn: turn.created_at, reverse=True)
        return found[:limit]

    def insert(self, turn: Turn) -> None:
        """See TurnRows.insert."""
        self._session.write_for(turn.tenant, _INSERT, turn_row(turn))

    def update(self, turn: Turn) -> None:
        """See TurnRows.update."""
        self._session.write_for(turn.tenant, _UPDATE, turn_row(turn))


def id_of(row: tuple[str]) -> TurnId:
    """The id, of a row of it alone."""
    return TurnId(row[0])
