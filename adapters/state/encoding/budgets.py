"""Budgets as rows: an account with its leases is one text, so that it changes as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from adapters.state.encoding.values import amount_of, as_json, columns, micros, money, time_of
from core.budgets.account import Account, Lease, Slots
from core.budgets.rows import AlertRow, BudgetRow, HeldAttempt
from core.budgets.rules import Spender
from core.identifiers import TenantId

StoredBudget = tuple[str, str, str, str, int]
BUDGET = columns("id tenant rule account version")

StoredAlert = tuple[str, str, int, str, str, str, str, int]
ALERT = columns("budget tenant window_start threshold budget_limit spent currency told_at")

StoredHeld = tuple[
    str, int, str, str, str, str, str, str | None, str | None, str | None, int | None
]  # fmt: skip


def budget_row(row: BudgetRow) -> StoredBudget:
    """A budget in the order of BUDGET."""
    return (row.id, row.tenant, row.rule, account_json(row.account), row.version)


def budget_of(row: StoredBudget) -> BudgetRow:
    """The budget of a row in the order of BUDGET."""
    return BudgetRow(row[0], TenantId(row[1]), row[2], account_of(row[3]), row[4])


def account_json(account: Account) -> str:
    """An account as JSON: what was spent by slot, and each lease as a list of its fields."""
    return as_json({"spent": _slots(account.spent), "leases": _leases(account.leases)})


def account_of(text: str) -> Account:
    """The account that `account_json` encoded."""
    found = json.loads(text)
    leases = {
        holder: Lease(Decimal(amount), time_of(expires), _slots_of(spent), renewal, closing)
        for holder, (amount, expires, spent, renewal, closing) in found["leases"].items()
    }
    return Account(_slots_of(found["spent"]), leases)


def alert_row(alert: AlertRow) -> StoredAlert:
    """An alert in the order of ALERT."""
    return (
        alert.budget,
        alert.tenant,
        micros(alert.window),
        str(alert.threshold),
        str(alert.limit),
        str(alert.spent),
        alert.currency,
        micros(alert.at),
    )


def alert_of(row: StoredAlert) -> AlertRow:
    """The alert of a row in the order of ALERT."""
    return AlertRow(
        row[0],
        TenantId(row[1]),
        time_of(row[2]),
        Decimal(row[3]),
        Decimal(row[4]),
        Decimal(row[5]),
        row[6],
        time_of(row[7]),
    )


def held_of(row: StoredHeld) -> HeldAttempt:
    """An attempt with what the ledger says of it."""
    unit, number, tenant, user, feature, deployment, key, reserved, cost, currency, booked = row
    return HeldAttempt(
        unit,
        number,
        Spender(tenant, user, feature, deployment, key),
        amount_of(reserved),
        amount_of(cost),
        currency or "",
        None if booked is None else time_of(booked),
    )


def _slots(slots: Slots) -> Mapping[str, str | None]:
    return {str(micros(slot)): money(amount) for slot, amount in slots.items()}


def _slots_of(found: Mapping[str, str]) -> Slots:
    return {time_of(int(slot)): Decimal(amount) for slot, amount in found.items()}


def _leases(leases: Mapping[str, Lease]) -> Mapping[str, list[object]]:
    return {
        holder: [
            str(lease.amount),
            micros(lease.expires),
            _slots(lease.spent),
            lease.renewal,
            lease.closing,
        ]
        for holder, lease in leases.items()
    }
