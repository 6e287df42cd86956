"""The rows of budgets, as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.budgets.account import Account
from core.budgets.rules import Spender
from core.identifiers import TenantId


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget's account with its leases. `version` counts its changes; 0: not written yet.

    `tenant` is "" where the budget is not one tenant's. `rule` is the name in the settings.
    """

    id: str
    tenant: TenantId
    rule: str
    account: Account = field(default_factory=Account)
    version: int = 0


@dataclass(frozen=True, slots=True)
class AlertRow:
    """What was spent of a budget has reached a share (`threshold`) of this limit in a window.

    There is one for each budget, window, threshold and limit.
    """

    budget: str
    tenant: TenantId
    window: datetime
    threshold: Decimal
    limit: Decimal
    spent: Decimal
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt that was paid for from a holder's leases, with what the ledger says of it.

    `booked_at` None: it is still open, and may come to `reserved`.
    """

    unit: str
    number: int
    spender: Spender
    reserved: Decimal | None
    cost: Decimal | None = None
    currency: str = ""
    booked_at: datetime | None = None
