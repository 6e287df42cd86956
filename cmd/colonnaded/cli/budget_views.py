"""Budgets and spending as an operator reads them: one a line, or in full; or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from colonnade.v1.budgets_pb2 import Budget, BudgetLease
from colonnade.v1.spending_pb2 import Spending
from colonnade.v1.usage_pb2 import Money
from colonnaded.cli.turn_views import printable, seconds

_HEADINGS = ("BUDGET", "WINDOW", "KIND", "LIMIT", "SPENT", "SHARE", "HELD", "NEXT RELEASE")
_SPENT = ("TENANT", "WHO", "COST", "CALLS", "UNPRICED", "ESTIMATED")


def print_budgets(budgets: Sequence[Budget], *, as_json: bool) -> None:
    """One line a budget under headings."""
    if as_json:
        print(json.dumps([_plain(budget) for budget in budgets], ensure_ascii=False))
        return
    if not budgets:
        print("no budgets of which anything was spent")
        return
    _print_table([_HEADINGS, *map(_line, budgets)])


def print_budget(budget: Budget, *, as_json: bool) -> None:
    """Everything about one budget, a line each."""
    if as_json:
        print(json.dumps(_plain(budget), ensure_ascii=False))
        return
    facts = list(_facts(budget))
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name.ljust(width)}  {printable(value)}")


def print_spending(spending: Sequence[Spending], *, as_json: bool) -> None:
    """One line for each who spent, under headings."""
    if as_json:
        print(json.dumps([_plain(spent) for spent in spending], ensure_ascii=False))
        return
    if not spending:
        print("nothing was spent in this time")
        return
    _print_table([_SPENT, *map(_spent, spending)])


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(printable("  ".join(cells).rstrip()))


def _spent(spent: Spending) -> tuple[str, ...]:
    return (
        spent.tenant,
        spent.value or "-",
        _money(spent.cost),
        str(spent.calls),
        str(spent.unpriced_calls),
        str(spent.estimated_calls),
    )


def _line(budget: Budget) -> tuple[str, ...]:
    return (
        budget.budget_id,
        budget.window,
        "hard" if budget.hard else "soft",
        _money(budget.limit),
        budget.spent.amount,
        _share(budget),
        budget.held.amount,
        _release(budget) or "-",
    )


def _facts(budget: Budget) -> Iterator[tuple[str, str]]:
    yield "budget", budget.budget_id
    if budget.tenant:
        yield "tenant", budget.tenant
    yield "kind", f"{'hard' if budget.hard else 'soft'}, {budget.window}"
    yield "limit", _money(budget.limit)
    yield "spent", f"{_money(budget.spent)} ({_share(budget)})"
    yield "held", _money(budget.held)
    if _release(budget):
        yield "next release", _release(budget)
    for lease in budget.leases:
        yield "lease", _lease(lease)
    for alert in budget.alerts:
        told = f"{_percent(Decimal(alert.threshold))} of {_money(alert.limit)}"
        yield "alert", f"{told} reached at {alert.create_time.ToJsonString()}"


def _lease(lease: BudgetLease) -> str:
    if lease.closing:
        return f"{lease.holder}, gone, {_money(lease.amount)} not booked yet"
    left = seconds(lease.left)
    lasts = f"for {left:.0f} s" if left >= 0 else f"lapsed {-left:.0f} s ago"
    return f"{lease.holder}, {_money(lease.amount)} {lasts}"


def _share(budget: Budget) -> str:
    return _percent(Decimal(budget.spent.amount) / Decimal(budget.limit.amount))


def _percent(share: Decimal) -> str:
    return f"{float(100 * share):.4g} %"


def _money(money: Money) -> str:
    return f"{money.amount} {money.currency_code}"


def _release(budget: Budget) -> str:
    there = budget.HasField("next_release_time")
    return budget.next_release_time.ToJsonString() if there else ""


def _plain(message: Message) -> dict[str, object]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
