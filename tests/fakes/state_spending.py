"""Attempts, the ledger and execution records, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.identifiers import TurnId
from core.ports.state import StoreConflict
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine
from fakes.state_tables import Tables, View, admits, must_admit


class FakeSpendingRows:
    """See core.ports.spending_rows.SpendingRows."""

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

    async def orphaned(self, began_before: datetime, limit: int) -> Sequence[Attempt]:
        rows = (await self._view.read()).attempts.values()
        found = [
            row for row in rows if not row.booked and row.epoch == 0 and row.began_at < began_before
        ]
        mine = [row for row in found if admits(self._view.scope, row.tenant)]
        return sorted(mine, key=lambda row: (row.began_at, row.unit, row.number))[:limit]

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

    async def booked(
        self, since: datetime, before: datetime, limit: int, after: tuple[datetime, str, int] | None
    ) -> Sequence[LedgerLine]:
        rows = (await self._view.read()).ledger.values()
        found = [
            row
            for row in rows
            if since <= row.booked_at < before and (after is None or _place(row) > after)
        ]
        mine = [row for row in found if admits(self._view.scope, row.tenant)]
        return sorted(mine, key=_place)[:limit]

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


def _place(line: LedgerLine) -> tuple[datetime, str, int]:
    return line.booked_at, line.unit, line.attempt
