"""Turns, their ids, logs and spending, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.identifiers import ConversationId, MessageId, TurnId
from core.ports.state import StoreConflict
from core.turns.rows import (
    Attempt,
    ExecutionRecord,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    Turn,
    TurnState,
)
from fakes.state_tables import Owned, Tables, View, admits, must_admit

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
    """See core.ports.state.TurnRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def get(self, turn: TurnId) -> Turn | None:
        row = (await self._view.read()).turns.get(turn)
        return row if row is not None and admits(self._view.scope, row.tenant) else None

    async def lock(self, turns: Iterable[TurnId]) -> Mapping[TurnId, Turn]:
        rows = (await self._view.read()).turns
        found = (rows[turn] for turn in sorted(set(turns)) if turn in rows)
        return {row.id: row for row in found if admits(self._view.scope, row.tenant)}

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

    async def any_busy(self, conversation: ConversationId) -> bool:
        rows = (await self._view.read()).turns.values()
        return any(
            row.conversation == conversation
            and row.state in _BUSY
            and admits(self._view.scope, row.tenant)
            for row in rows
        )

    async def running(self, limit: int) -> Sequence[Turn]:
        rows = (await self._view.read()).turns.values()
        running = [
            row
            for row in rows
            if row.state is TurnState.RUNNING and admits(self._view.scope, row.tenant)
        ]
        return sorted(running, key=lambda row: (row.created_at, row.id))[:limit]

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


class FakeIdempotencyRows:
    """See core.ports.state.IdempotencyRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        found = (await self._view.read()).idempotency.get(key)
        return found if admits(self._view.scope, key.tenant) else None

    def insert(self, record: IdempotencyRecord) -> None:
        must_admit(self._view.scope, record.key.tenant)

        def change(tables: Tables) -> None:
            if record.key in tables.idempotency:
                raise StoreConflict("the request id is taken")
            tables.idempotency[record.key] = record

        self._view.write("idempotency", change)


class FakeEventRows:
    """See core.ports.state.EventRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        must_admit(self._view.scope, turn.tenant)
        new = tuple(events)

        def change(tables: Tables) -> None:
            taken = {event.seq for log in _logs(tables, turn.id) for event in log.row}
            if len(taken | {event.seq for event in new}) < len(taken) + len(new):
                raise StoreConflict("the event's number is taken")
            key = (turn.id, turn.tenant)
            log = (*tables.events.get(key, Owned(turn.tenant, ())).row, *new)
            ordered = tuple(sorted(log, key=lambda event: event.seq))
            tables.events[key] = Owned(turn.tenant, ordered)

        self._view.write("events", change)

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        logs = _logs(await self._view.read(), turn)
        mine = [event for log in logs if admits(self._view.scope, log.tenant) for event in log.row]
        later = [event for event in mine if event.seq > after]
        return sorted(later, key=lambda event: event.seq)[:limit]


def _logs(tables: Tables, turn: TurnId) -> list[Owned[tuple[LoggedEvent, ...]]]:
    """A turn's log; each tenant that wrote under its id has its own."""
    return [log for (id, _), log in tables.events.items() if id == turn]


class FakeSpendingRows:
    """See core.ports.state.SpendingRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def begin(self, attempt: Attempt) -> None:
        must_admit(self._view.scope, attempt.tenant)
        key = (attempt.unit, attempt.number)

        def change(tables: Tables) -> None:
            if key in tables.attempts:
                raise StoreConflict("the attempt's number is taken")
            tables.attempts[key] = attempt

        self._view.write("attempts", change)

    def update(self, attempt: Attempt) -> None:
        must_admit(self._view.scope, attempt.tenant)
        key = (attempt.unit, attempt.number)

        def change(tables: Tables) -> None:
            old = tables.attempts.get(key)
            if old is not None and old.tenant == attempt.tenant:
                tables.attempts[key] = attempt

        self._view.write("attempts", change)

    async def attempts(self, unit: str) -> Sequence[Attempt]:
        rows = (await self._view.read()).attempts.values()
        mine = [r for r in rows if r.unit == unit and admits(self._view.scope, r.tenant)]
        return sorted(mine, key=lambda row: row.number)

    def book(self, line: LedgerLine) -> None:
        must_admit(self._view.scope, line.tenant)
        key = (line.unit, line.attempt)

        def change(tables: Tables) -> None:
            old = tables.ledger.get(key)
            if old is None or (old.estimated and old.tenant == line.tenant):
                tables.ledger[key] = line

        self._view.write("ledger", change)

    async def lines(self, unit: str) -> Sequence[LedgerLine]:
        rows = (await self._view.read()).ledger.values()
        mine = [r for r in rows if r.unit == unit and admits(self._view.scope, r.tenant)]
        return sorted(mine, key=lambda row: row.attempt)

    def record(self, execution: ExecutionRecord) -> None:
        must_admit(self._view.scope, execution.tenant)

        def change(tables: Tables) -> None:
            old = tables.executions.get(execution.turn, execution)
            if old.tenant == execution.tenant:
                tables.executions[execution.turn] = execution

        self._view.write("executions", change)

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        row = (await self._view.read()).executions.get(turn)
        return row if row is not None and admits(self._view.scope, row.tenant) else None
