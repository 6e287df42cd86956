"""What operators see of budgets: how much is left of each, who holds it, what was told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.budgets.account import Account, tidied
from core.budgets.rows import AlertRow, BudgetRow
from core.budgets.rules import AccountKey, BudgetRule
from core.call import Call
from core.errors import NotFound
from core.identifiers import TenantId
from core.pages import Cursor, Page, PageRequest, page_of
from core.ports.state import EVERY_TENANT, Scope, State
from core.principal import EVERY_TENANT_SCOPE

_MOST_ALERTS = 100


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """A budget by its rule, as its account stands `now`, by the store's time."""

    key: AccountKey
    rule: BudgetRule
    tenant: TenantId
    account: Account
    now: datetime
    alerts: Sequence[AlertRow] = ()

    @property
    def spent(self) -> Decimal:
        """What counts against the limit."""
        return self.account.spent_in_window(self.rule, self.now)

    @property
    def next_release(self) -> datetime | None:
        """When the next part of what was spent counts no longer; None where nothing was."""
        return self.account.next_release(self.rule)


class BudgetOperations:
    """Budgets of a caller's tenant, or of all where its key says so by name.

    `rules` are those that count now; what is left in the store of one that does not is not shown.
    """

    def __init__(self, state: State, rules: Callable[[], Sequence[BudgetRule]]) -> None:
        self._state = state
        self._rules = rules

    async def list(
        self, call: Call, rule: str, page: PageRequest, *, all_tenants: bool = False
    ) -> Page[BudgetStanding]:
        """Budgets of this rule ("": of all) of which something was spent, in order of id.

        Raises PermissionRefused where the key does not see all tenants, and they are asked for.
        """
        scope: Scope = call.principal.tenant
        if all_tenants:
            call.principal.require(EVERY_TENANT_SCOPE)
            scope = EVERY_TENANT
        async with self._state.snapshot(scope) as view:
            rows = await view.budgets.list(rule, page.size + 1, page.after)
            now = view.now
        found = page_of(rows, page, lambda row: Cursor(row.id, row.id))
        standings = [self._standing(row, now) for row in found.items]
        return Page(tuple(each for each in standings if each is not None), found.next_token)

    async def details(self, call: Call, id: str) -> BudgetStanding:
        """One budget with its alerts, the newest first. Raises NotFound."""
        scope: Scope = EVERY_TENANT if call.principal.sees_every_tenant else call.principal.tenant
        async with self._state.snapshot(scope) as view:
            row = await view.budgets.get(id)
            alerts = await view.budgets.alerts(id, _MOST_ALERTS)
            standing = self._standing(row, view.now, alerts) if row else None
        if standing is None:
            raise NotFound("budget", id)
        return standing

    def _standing(
        self, row: BudgetRow, now: datetime, alerts: Sequence[AlertRow] = ()
    ) -> BudgetStanding | None:
        rule = next((rule for rule in self._rules() if rule.name == row.rule), None)
        if rule is None:
            return None
        account = tidied(row.account, rule, now)
        return BudgetStanding(AccountKey.of(row.id), rule, row.tenant, account, now, alerts)
