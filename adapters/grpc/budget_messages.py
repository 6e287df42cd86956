"""Budgets as the contract has them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from adapters.grpc import values
from colonnade.v1 import budgets_pb2, usage_pb2
from core.budgets.account import Lease
from core.budgets.rows import AlertRow
from services.budget_operations import BudgetStanding


def budget(standing: BudgetStanding) -> budgets_pb2.Budget:
    """A budget of a list: without leases and alerts."""
    rule, key = standing.rule, standing.key
    return budgets_pb2.Budget(
        budget_id=key.id,
        rule=rule.name,
        tenant=standing.tenant,
        subjects={subject.value: value for subject, value in key.whose},
        window=rule.window,
        hard=rule.hard,
        limit=_money(rule.limit, rule.currency),
        spent=_money(standing.spent, rule.currency),
        held=_money(standing.account.leased, rule.currency),
        next_release_time=values.timestamp(standing.next_release),
    )


def budget_in_full(standing: BudgetStanding) -> budgets_pb2.Budget:
    """A budget with its leases and alerts."""
    message = budget(standing)
    currency = standing.rule.currency
    for holder, lease in sorted(standing.account.leases.items()):
        if lease.amount or lease.closing:
            message.leases.append(_lease(holder, lease, standing.now, currency))
    message.alerts.extend(map(_alert, standing.alerts))
    return message


def _lease(holder: str, lease: Lease, now: datetime, currency: str) -> budgets_pb2.BudgetLease:
    return budgets_pb2.BudgetLease(
        holder=holder,
        amount=_money(lease.amount, currency),
        left=values.duration((lease.expires - now).total_seconds()),
        closing=lease.closing,
    )


def _alert(alert: AlertRow) -> budgets_pb2.BudgetAlert:
    return budgets_pb2.BudgetAlert(
        threshold=str(alert.threshold),
        limit=_money(alert.limit, alert.currency),
        spent=_money(alert.spent, alert.currency),
        window_start_time=values.timestamp(alert.window),
        create_time=values.timestamp(alert.at),
    )


def _money(amount: Decimal, currency: str) -> usage_pb2.Money:
    message = usage_pb2.Money()
    values.put_money(message, amount, currency)
    return message
