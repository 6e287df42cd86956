"""Turns on SQLite."""

from __future__ import annotations

from adapters.state.encoding.turns import TURN, turn_row
from adapters.state.rows.ranks import TURN_UPDATE, TURN_UPDATE_INDEXED
from adapters.state.rows.statements import Statement, update
from adapters.state.rows.turns import SqlTurnRows
from core.turns.rows import Turn

# In two, because SQLite writes every index anew of which a column is set, changed or not: the
# columns in indexes are set only where they change, which is seldom, and the rest always.
_INDEXED = ("state", "conversation", "parent", "created_at", "ended_at", "sweep")
_UPDATE = update("turn", TURN, ("id", "tenant"), leave=_INDEXED, rank=TURN_UPDATE)
_UPDATE_INDEXED = Statement(
    "UPDATE turn SET state = ?3, conversation = ?4, parent = ?5, created_at = ?6, ended_at = ?7, "
    "sweep = ?8 WHERE id = ?1 AND tenant = ?2 "
    "AND (state, conversation, parent, created_at, ended_at, sweep) "
    "IS NOT (?3, ?4, ?5, ?6, ?7, ?8)",
    rank=TURN_UPDATE_INDEXED,
)

# The plus keeps the planner from the index of states, in which it would look at every running turn
# for each that is extended.
_EXTEND = Statement(
    "UPDATE turn SET next_seq = next_seq + (one.value ->> 3), "
    "released = released OR (one.value ->> 4), "
    "lease_until = CASE WHEN deadline_at > ?4 THEN max(lease_until, ?3) ELSE lease_until END "
    "FROM json_each(?2) AS one WHERE turn.id = one.value ->> 0 AND epoch = one.value ->> 1 "
    "AND next_seq = one.value ->> 2 AND +state = 'RUNNING' AND {mine} "
    "RETURNING turn.id, cancel, detached"
)

_PLACES = tuple(TURN.index(column) for column in _INDEXED)


class SqliteTurnRows(SqlTurnRows):
    """See core.ports.turn_rows.TurnRows."""

    extends = _EXTEND

    def update(self, turn: Turn) -> None:
        """See TurnRows.update."""
        self._session.admit(turn.tenant)
        row = turn_row(turn)
        self._session.write(_UPDATE, row)
        self._session.write(_UPDATE_INDEXED, (turn.id, turn.tenant, *map(row.__getitem__, _PLACES)))
