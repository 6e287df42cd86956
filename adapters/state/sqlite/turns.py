"""Turns on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from operator import itemgetter

from adapters.state.encoding.turns import TURN, turn_row
from adapters.state.encoding.values import micros
from adapters.state.rows.ranks import TURN_UPDATE, TURN_UPDATE_INDEXED
from adapters.state.rows.statements import Statement, update
from adapters.state.rows.turns import SqlTurnRows
from adapters.state.sqlite.session import Session
from core.identifiers import Seconds, TurnId
from core.turns.fencing import Extension
from core.turns.rows import Turn

# In two, because SQLite writes every index anew of which a column is set, changed or not: the
# columns in indexes are set only where they change, and the rest always. Also where a turn ends:
# a third statement would change places with these, and undo what came after it.
_INDEXED = ("state", "conversation", "parent", "created_at", "ended_at", "sweep")
_UPDATE = update("turn", TURN, ("id", "tenant"), leave=_INDEXED, rank=TURN_UPDATE)
_UPDATE_INDEXED = Statement(
    "UPDATE turn SET state = ?3, conversation = ?4, parent = ?5, created_at = ?6, ended_at = ?7, "
    "sweep = ?8 WHERE id = ?1 AND tenant = ?2 "
    "AND (state, conversation, parent, created_at, ended_at, sweep) "
    "IS NOT (?3, ?4, ?5, ?6, ?7, ?8)",
    rank=TURN_UPDATE_INDEXED,
)
_indexed = itemgetter(*map(TURN.index, ("id", "tenant", *_INDEXED)))

# A row at a time: a list of them as JSON takes twice as long, in a join that SQLite first writes
# down, and then again for what it returns.
_EXTEND = Statement(
    "UPDATE turn SET next_seq = next_seq + ?7, released = released OR ?8, "
    "lease_until = CASE WHEN deadline_at > ?10 THEN max(lease_until, ?9) ELSE lease_until END "
    "WHERE id = ?2 AND epoch = ?3 AND next_seq = ?4 AND cancel IS ?5 AND detached = ?6 "
    "AND state = 'RUNNING' AND {mine}"
)


class SqliteTurnRows(SqlTurnRows):
    """See core.ports.turn_rows.TurnRows."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sqlite = session

    async def extend(
        self, extensions: Sequence[Extension], now: datetime, lease: Seconds, hard: Seconds
    ) -> AbstractSet[TurnId]:
        """See TurnRows.extend."""
        until, too_late = (
            micros(now + timedelta(seconds=lease)),
            micros(now - timedelta(seconds=hard)),
        )
        rows = [
            (
                by.turn,
                by.epoch,
                by.first,
                by.cancel.value if by.cancel else None,
                by.detach,
                by.added,
                by.released,
                until,
                too_late,
            )
            for by in extensions
        ]
        met = await self._sqlite.met(_EXTEND, rows)
        return {by.turn for by, is_met in zip(extensions, met, strict=True) if is_met}

    def update(self, turn: Turn) -> None:
        """See TurnRows.update."""
        row = turn_row(turn)
        self._session.write_for(turn.tenant, _UPDATE, row)
        self._session.write_for(turn.tenant, _UPDATE_INDEXED, _indexed(row))
