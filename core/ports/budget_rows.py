"""The state's rows about budgets: their accounts, and which alerts were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.budgets.rows import AlertRow, BudgetRow, HeldAttempt
from core.pages import Cursor


class BudgetRows(Protocol):
    """Budgets. A row of no one tenant exists under EVERY_TENANT only."""

    async def get(self, budget: str) -> BudgetRow | None:
        """The account as committed."""

    async def replace(self, row: BudgetRow) -> bool:
        """Write it with the next version, if it still has the row's own; 0: if it is not there.

        False, and nothing is written, where another was first. Of those who write the same
        version at once one is first, whatever the transactions' order.
        """

    async def list(self, rule: str, limit: int, after: Cursor | None) -> Sequence[BudgetRow]:
        """In order of id; "" is every rule's. The cursor is (id, id)."""

    async def tell(self, alert: AlertRow) -> bool:
        """Write it; False where there is one for this budget, window, threshold and limit."""

    async def alerts(self, budget: str, limit: int) -> Sequence[AlertRow]:
        """A budget's, the newest first, those of higher thresholds before lower."""

    async def held(self, holder: str, after: tuple[str, int], limit: int) -> Sequence[HeldAttempt]:
        """The attempts on a holder's money, in order of unit and number, after these."""
