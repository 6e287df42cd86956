"""What the record says of a holder that is gone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from core.budgets.account import NOTHING
from core.budgets.leasing import Counted
from core.budgets.rows import HeldAttempt
from core.budgets.rules import AccountKey, BudgetRule
from core.budgets.windows import slot_of


def count(rule: BudgetRule, key: AccountKey, attempts: Iterable[HeldAttempt]) -> Counted:
    """Those of a holder's attempts that this account covers."""
    booked: dict[datetime, Decimal] = {}
    open_ones = NOTHING
    for attempt in attempts:
        if not (rule.covers(attempt.spender) and rule.account(attempt.spender) == key):
            continue
        if attempt.booked_at is None:
            open_ones += attempt.reserved or NOTHING
        elif attempt.cost and attempt.currency == rule.currency:
            slot = slot_of(rule, attempt.booked_at)
            booked[slot] = booked.get(slot, NOTHING) + attempt.cost
    return Counted(booked, open_ones)
