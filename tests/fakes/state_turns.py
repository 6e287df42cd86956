"""Turns, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from core.identifiers import ConversationId, MessageId, Seconds, TurnId
from core.pages import Cursor
from core.ports.state import StoreConflict
from core.turns.fencing import Extension, extended
from core.turns.leases import renewed
from core.turns.rows import Turn, TurnState
from fakes.state_tables import Tables, View, admits, must_admit, time_in

Rows = list[Turn]
_BUSY = (TurnState.RUNNING, TurnState.WAITING)


def _require_free_branch(tables: Tables, turn: Turn) -> None:
    if turn.conversation is None or turn.state not in _BUSY:
        return
    for other in tables.turns.values():
        same_branch = (other.tenant, other.conversation, other.parent) == (
            turn.tenant,
            turn.conversation,
            turn.parent,
        )
        if same_branch and other.state in _BUSY and other.id != turn.id:
            raise StoreConflict("the branch is busy")


class FakeTurnRows:
    """See core.ports.turn_rows.TurnRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def _where(self, wanted: Callable[[Turn], bool]) -> Rows:
        rows = (await self._view.read()).turns.values()
        return [row for row in rows if admits(self._view.scope, row.tenant) and wanted(row)]

    async def _ended_before(self, time: datetime) -> Rows:
        def end(row: Turn) -> datetime:
            return row.ended_at or time

        ended = await self._where(lambda row: row.state.ended and end(row) < time)
        return sorted(ended, key=lambda row: (end(row), row.id))

    async def get(self, turn: TurnId) -> Turn | None:
        row = (await self._view.read()).turns.get(turn)
        return row if row is not None and admits(self._view.scope, row.tenant) else None

    async def lock(self, turns: Iterable[TurnId], *, wait: bool = True) -> Mapping[TurnId, Turn]:
        rows = (await self._view.read()).turns
        found = (rows[turn] for turn in sorted(set(turns)) if turn in rows)
        return {row.id: row for row in found if admits(self._view.scope, row.tenant)}

    async def extend(
        self, extensions: Sequence[Extension], now: datetime, lease: Seconds, hard: Seconds
    ) -> AbstractSet[TurnId]:
        self._view.write("turns", lambda _: None)  # refused where nothing may be written
        rows = await self.lock(each.turn for each in extensions)
        done = set()
        for each in extensions:
            row = rows.get(each.turn)
            longer = extended(row, each) if row is not None else None
            if longer is not None:
                self.update(renewed(longer, now, lease, hard))
                done.add(each.turn)
        return done

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        rows = (await self._view.read()).turns.values()
        return next(
            (
                row
                for row in rows
                if (row.conversation, row.parent) == (conversation, parent)
                and row.state in _BUSY
                and admits(self._view.scope, row.tenant)
            ),
            None,
        )

    async def any_busy(self, conversation: ConversationId) -> TurnId | None:
        rows = (await self._view.read()).turns.values()
        return min(
            (
                row.id
                for row in rows
                if row.conversation == conversation
                and row.state in _BUSY
                and admits(self._view.scope, row.tenant)
            ),
            default=None,
        )

    async def running(self, limit: int) -> Sequence[Turn]:
        running = await self._where(lambda row: row.state is TurnState.RUNNING)
        return _oldest_first(running)[:limit]

    async def due(
        self, lease_before: datetime, deadline_before: datetime, limit: int
    ) -> Sequence[Turn]:
        due = await self._where(
            lambda row: (
                row.state is TurnState.RUNNING
                and (row.lease_until < lease_before or row.deadline_at < deadline_before)
            )
        )
        return _oldest_first(due)[:limit]

    async def to_wake(self, now: datetime, limit: int) -> Sequence[Turn]:
        awake = await self._where(
            lambda row: (
                row.state is TurnState.WAITING
                and (
                    row.decision is not None
                    or row.cancel is not None
                    or (row.wait_until is not None and row.wait_until < now)
                )
            )
        )
        return _oldest_first(awake)[:limit]

    async def to_forget(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        ended = await self._ended_before(ended_before)
        return [row for row in ended if not row.forgotten][:limit]

    async def to_compact(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        ended = await self._ended_before(ended_before)
        return [row for row in ended if row.forgotten and row.log_from < row.next_seq][:limit]

    async def list(
        self, states: AbstractSet[TurnState], limit: int, after: Cursor | None
    ) -> Sequence[Turn]:
        rows = await self._where(lambda row: row.state in states)
        rows.sort(key=lambda row: row.id)
        rows.sort(key=lambda row: row.created_at, reverse=True)
        if after is not None:
            at = time_in(after)
            rows = [
                row
                for row in rows
                if row.created_at < at or (row.created_at == at and row.id > after.id)
            ]
        return rows[:limit]

    def insert(self, turn: Turn) -> None:
        must_admit(self._view.scope, turn.tenant)

        def change(tables: Tables) -> None:
            if turn.id in tables.turns:
                raise StoreConflict("the turn's id is taken")
            _require_free_branch(tables, turn)
            tables.turns[turn.id] = turn

        self._view.write("turns", change)

    def update(self, turn: Turn) -> None:
        must_admit(self._view.scope, turn.tenant)

        def change(tables: Tables) -> None:
            old = tables.turns.get(turn.id)
            if old is not None and old.tenant == turn.tenant:
                _require_free_branch(tables, turn)
                tables.turns[turn.id] = turn

        self._view.write("turns", change)


def _oldest_first(rows: list[Turn]) -> list[Turn]:
    return sorted(rows, key=lambda row: (row.created_at, row.id))
