"""A process's budgets on any state, with the accounts as the store has them.

process = a_process(state, [rule], clock)
reservation = await process.book.reserve(...)
await process.report()
assert await spent(state, rule) == {"daily": Decimal(6)}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.budgets.rows import AlertRow, BudgetRow
from core.budgets.rules import BudgetRule
from core.clock import Clock
from core.identifiers import BootId
from core.ports.bus import Bus
from core.ports.state import EVERY_TENANT, State
from fakes.bus import FakeExchange
from services.models.budget_accounts import BudgetAccounts
from services.models.spending import BudgetBook


@dataclass
class BudgetProcess:
    """What one process knows of budgets; `alerts` are those that it gave."""

    book: BudgetBook
    accounts: BudgetAccounts
    alerts: list[AlertRow]

    async def report(self) -> None:
        """Tell the store all that was spent, and give back what is not needed."""
        await self.accounts.close()


def a_process(
    state: State,
    rules: Sequence[BudgetRule],
    clock: Clock,
    boot: str = "boot-1",
    bus: Bus | None = None,
) -> BudgetProcess:
    """One that begins now. Its leases run on the monotonic clock."""
    alerts: list[AlertRow] = []
    accounts = BudgetAccounts(
        state,
        clock,
        clock.monotonic,
        BootId(boot),
        bus or FakeExchange().replica(),
        alerts.append,
    )
    return BudgetProcess(BudgetBook(rules, accounts), accounts, alerts)


async def accounts_of(state: State, rule: BudgetRule) -> Sequence[BudgetRow]:
    """Every account of the rule, as committed."""
    async with state.snapshot(EVERY_TENANT) as view:
        return await view.budgets.list(rule.name, 500, None)


async def spent(state: State, rule: BudgetRule, clock: Clock) -> dict[str, Decimal]:
    """What the store knows to be spent in the open window, by account."""
    rows = await accounts_of(state, rule)
    return {row.id: row.account.spent_in_window(rule, clock.now()) for row in rows}
