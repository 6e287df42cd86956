"""Budgets."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.state.encoding.budgets import (
    ALERT,
    BUDGET,
    alert_of,
    alert_row,
    budget_of,
    budget_row,
    held_of,
)
from adapters.state.rows.session import Session
from adapters.state.rows.statements import Statement, select
from core.budgets.rows import AlertRow, BudgetRow, HeldAttempt
from core.pages import Cursor

_GET = select(BUDGET, "FROM budget WHERE id = ?2 AND {mine}")
_LIST = select(
    BUDGET,
    "FROM budget WHERE id > ?3 AND (rule = ?4 OR ?4 = '') AND {mine} ORDER BY id LIMIT ?2",
)
_INSERT = Statement(
    "INSERT INTO budget (id, tenant, rule, account, version) "
    "SELECT id, tenant, rule, account, 1 "
    "FROM (SELECT ?2 AS id, ?3 AS tenant, ?4 AS rule, ?5 AS account) AS one WHERE {mine} "
    "ON CONFLICT (id) DO NOTHING RETURNING id"
)
_REPLACE = Statement(
    "UPDATE budget SET account = ?3, version = version + 1 "
    "WHERE id = ?2 AND version = CAST(?4 AS BIGINT) AND {mine} RETURNING id"
)
_TELL = Statement(
    "INSERT INTO budget_alert "
    "(budget, tenant, window_start, threshold, budget_limit, spent, currency, told_at) "
    "SELECT * FROM (SELECT ?2 AS budget, ?3 AS tenant, CAST(?4 AS BIGINT) AS window_start, "
    "?5 AS threshold, ?6 AS budget_limit, ?7 AS spent, ?8 AS currency, "
    "CAST(?9 AS BIGINT) AS told_at) AS one WHERE {mine} "
    "ON CONFLICT (budget, window_start, threshold, budget_limit) DO NOTHING RETURNING budget"
)
_ALERTS = select(
    ALERT,
    "FROM budget_alert WHERE budget = ?2 AND {mine} "
    "ORDER BY told_at DESC, threshold DESC, budget_limit LIMIT ?3",
)
# One statement, and so of one moment: an attempt is open or booked, and never neither.
_HELD = Statement(
    "SELECT held.unit, held.number, held.tenant, held.user_id, held.feature, held.deployment, "
    "held.key_id, held.reserved, ledger.cost, ledger.currency, ledger.booked_at "
    "FROM (SELECT * FROM attempt WHERE holder = ?2 AND holder <> '' "
    "AND (unit, number) > (?3, CAST(?4 AS BIGINT)) AND {mine} "
    "ORDER BY unit, number LIMIT ?5) AS held "
    "LEFT JOIN ledger ON ledger.unit = held.unit AND ledger.attempt = held.number "
    "ORDER BY held.unit, held.number"
)


class SqlBudgetRows:
    """See core.ports.budget_rows.BudgetRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, budget: str) -> BudgetRow | None:
        """See BudgetRows.get."""
        return await self._session.one(budget_of, _GET, budget)

    async def replace(self, row: BudgetRow) -> bool:
        """See BudgetRows.replace."""
        self._session.admit(row.tenant)
        id, tenant, rule, account, version = budget_row(row)
        if row.version:
            done = await self._session.changed(_first, _REPLACE, id, account, version)
        else:
            done = await self._session.changed(_first, _INSERT, id, tenant, rule, account)
        return bool(done)

    async def list(self, rule: str, limit: int, after: Cursor | None) -> Sequence[BudgetRow]:
        """See BudgetRows.list."""
        last = after.id if after is not None else ""
        return await self._session.all(budget_of, _LIST, limit, last, rule, rows=limit)

    async def tell(self, alert: AlertRow) -> bool:
        """See BudgetRows.tell."""
        self._session.admit(alert.tenant)
        return bool(await self._session.changed(_first, _TELL, *alert_row(alert)))

    async def alerts(self, budget: str, limit: int) -> Sequence[AlertRow]:
        """See BudgetRows.alerts."""
        return await self._session.all(alert_of, _ALERTS, budget, limit, rows=limit)

    async def held(self, holder: str, after: tuple[str, int], limit: int) -> Sequence[HeldAttempt]:
        """See BudgetRows.held."""
        return await self._session.all(held_of, _HELD, holder, *after, limit, rows=limit)


def _first(row: tuple[str]) -> str:
    return row[0]
