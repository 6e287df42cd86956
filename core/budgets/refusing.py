"""The words and facts of a refusal: which budget, what is left of it, when it opens again."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.budgets.leasing import Refusal
from core.budgets.rules import AccountKey, BudgetRule
from core.errors import BudgetSpent
from core.identifiers import Seconds

_SOON = Seconds(2.0)
"""When others will have given back what they do not use."""


def budget_spent(
    rule: BudgetRule, key: AccountKey, refusal: Refusal, need: Decimal, now: datetime
) -> BudgetSpent:
    """The error for a request that may cost `need`."""
    again_in = _again_in(rule, refusal, need, now)
    held = f", {refusal.leased} is held for calls under way" if refusal.leased else ""
    error = BudgetSpent(
        rule.name,
        f"the budget {key} has {refusal.spent} of {rule.limit} {rule.currency} spent in this "
        f"{rule.window}{held}, and the request may cost {need}; {_opening(refusal, again_in)}",
        retry_after=again_in,
    )
    facts = {
        "window": rule.window,
        "amount": str(rule.limit),
        "currency": rule.currency,
        "spent": str(refusal.spent),
        "held": str(refusal.leased),
    }
    opens = {"opens_at": refusal.again_at.isoformat()} if refusal.again_at else {}
    error.metadata = {**error.metadata, **facts, **opens}
    return error


def _again_in(rule: BudgetRule, refusal: Refusal, need: Decimal, now: datetime) -> Seconds | None:
    """How long to wait; None where no waiting helps."""
    if refusal.spent + need <= rule.limit:
        return _SOON
    if refusal.again_at is None:
        return None
    return Seconds(max(0.0, (refusal.again_at - now).total_seconds()))


def _opening(refusal: Refusal, again_in: Seconds | None) -> str:
    if again_in is None:
        return "it will never have so much: raise its limit, or ask for less output"
    if refusal.again_at is None or again_in == _SOON:
        return "calls under way may leave enough of it"
    return f"enough leaves the window at {refusal.again_at.isoformat(timespec='seconds')}"
