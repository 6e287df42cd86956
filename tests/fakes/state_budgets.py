"""Budgets and their alerts, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.budgets.rows import AlertRow, BudgetRow, HeldAttempt
from core.budgets.rules import Spender
from core.pages import Cursor
from core.turns.rows import Attempt, LedgerLine
from fakes.state_tables import Tables, View, admits, must_admit


class FakeBudgetRows:
    """See core.ports.budget_rows.BudgetRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def get(self, budget: str) -> BudgetRow | None:
        row = (await self._view.read()).budgets.get(budget)
        return row if row is not None and admits(self._view.scope, row.tenant) else None

    async def replace(self, row: BudgetRow) -> bool:
        must_admit(self._view.scope, row.tenant)
        done: list[bool] = []

        def change(tables: Tables) -> None:
            old = tables.budgets.get(row.id)
            seen = admits(self._view.scope, old.tenant) if old else True
            done.append(seen and row.version == (old.version if old else 0))
            if done[-1]:
                kept = old or row
                tables.budgets[row.id] = replace(kept, account=row.account, version=row.version + 1)

        self._view.write("budgets", change)
        await self._view.read()
        return done[-1]

    async def list(self, rule: str, limit: int, after: Cursor | None) -> Sequence[BudgetRow]:
        last = after.id if after is not None else ""
        rows = (await self._view.read()).budgets.values()
        found = [row for row in rows if row.id > last and rule in ("", row.rule)]
        mine = [row for row in found if admits(self._view.scope, row.tenant)]
        return sorted(mine, key=lambda row: row.id)[:limit]

    async def tell(self, alert: AlertRow) -> bool:
        must_admit(self._view.scope, alert.tenant)
        done: list[bool] = []

        def change(tables: Tables) -> None:
            key = (alert.budget, alert.window, alert.threshold, alert.limit)
            done.append(key not in tables.alerts)
            tables.alerts.setdefault(key, alert)

        self._view.write("alerts", change)
        await self._view.read()
        return done[-1]

    async def alerts(self, budget: str, limit: int) -> Sequence[AlertRow]:
        rows = (await self._view.read()).alerts.values()
        mine = [r for r in rows if r.budget == budget and admits(self._view.scope, r.tenant)]
        return sorted(mine, key=lambda row: (row.at, row.threshold), reverse=True)[:limit]

    async def held(self, holder: str, after: tuple[str, int], limit: int) -> Sequence[HeldAttempt]:
        tables = await self._view.read()
        rows = [
            row
            for key, row in sorted(tables.attempts.items())
            if holder and row.holder == holder and key > after
        ]
        mine = [row for row in rows if admits(self._view.scope, row.tenant)][:limit]
        return [_held(row, tables.ledger.get((row.unit, row.number))) for row in mine]


def _held(row: Attempt, line: LedgerLine | None) -> HeldAttempt:
    spender = Spender(row.tenant, row.user, row.feature, row.deployment, row.key)
    held = HeldAttempt(row.unit, row.number, spender, row.reserved)
    if line is None:
        return held
    return replace(held, cost=line.cost, currency=line.currency, booked_at=line.booked_at)
