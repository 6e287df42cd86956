"""The budgets of this process: money set aside before each call, and booked after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.budgets.account import Account, Lease, Refusal, crossed, reserve, settle
from core.budgets.rules import AccountKey, BudgetRule, Spender
from core.catalog import Deployment
from core.errors import BudgetSpent
from core.identifiers import Seconds
from core.ports.model_gateway import SpendingUnit
from core.prices import most_cost
from core.principal import Principal

_LEASE = timedelta(hours=2)
"""Longer than any call may take; a call that ends gives its lease back at once."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one attempt, in every budget that covers it."""

    id: str
    accounts: tuple[tuple[BudgetRule, AccountKey], ...]
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """What was spent of a budget has crossed this share of its limit."""

    account: AccountKey
    threshold: Decimal
    spent: Decimal
    limit: Decimal
    currency: str


class Budgets(Protocol):
    """Says whether an attempt may be paid for."""

    def reserve(
        self,
        principal: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt: int,
        output: int,
    ) -> Reservation | None:
        """Set aside the most that it can cost. Raises BudgetSpent where a hard limit forbids it.

        None where no budget covers it.
        """

    def settle(self, reservation: Reservation, cost: Decimal | None) -> None:
        """It has ended and cost so much; of an unknown cost, all that was set aside is booked."""

    def release(self, reservation: Reservation) -> None:
        """It was not made after all."""


class BudgetBook:
    """Accounts in memory. They begin empty with the process, and nobody else sees them.

    Everything happens at once, between two awaits: no interleaving of calls can exceed a limit.
    """

    def __init__(
        self,
        rules: Sequence[BudgetRule] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        alert: Callable[[BudgetAlert], None] = lambda _: None,
    ) -> None:
        self._rules = tuple(rules)
        self._now = now
        self._alert = alert
        self._accounts: dict[AccountKey, Account] = {}
        self._ids = itertools.count(1)

    def adopt(self, rules: Sequence[BudgetRule]) -> None:
        """Go by these rules from now on. What was counted under a rule's name stays counted."""
        self._rules = tuple(rules)

    def reserve(
        self,
        principal: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt: int,
        output: int,
    ) -> Reservation | None:
        """See Budgets."""
        spender = Spender(unit.tenant, unit.user, unit.feature, deployment.name, principal.key)
        most = most_cost(prompt, output, deployment.prices)
        covering = [
            (rule, rule.account(spender))
            for rule in self._rules
            if rule.covers(spender) and _can_count(rule, deployment, most)
        ]
        if not covering:
            return None
        now, id, amount = self._now(), str(next(self._ids)), most or Decimal(0)
        changed: dict[AccountKey, Account] = {}
        for rule, key in covering:
            lease = Lease(amount, now + _LEASE)
            account = reserve(self._accounts.get(key, Account()), rule, id, lease, now)
            if isinstance(account, Refusal):
                raise _spent(rule, key, account, amount, now)
            changed[key] = account
        self._accounts.update(changed)
        return Reservation(id, tuple(covering), amount)

    def settle(self, reservation: Reservation, cost: Decimal | None) -> None:
        """See Budgets."""
        now = self._now()
        for rule, key in reservation.accounts:
            before = self._accounts.get(key, Account())
            amount = reservation.amount if cost is None else cost
            after = settle(before, rule, reservation.id, amount, now)
            if after.idle:
                self._accounts.pop(key, None)
            else:
                self._accounts[key] = after
            spent = after.spent_in_window(rule, now)
            for threshold in crossed(before, after, rule, now):
                self._alert(BudgetAlert(key, threshold, spent, rule.limit, rule.currency))

    def release(self, reservation: Reservation) -> None:
        """See Budgets."""
        self.settle(reservation, Decimal(0))

    def spent(self, rule: str) -> dict[AccountKey, Decimal]:
        """What was spent in the window that is open now, by account of this rule."""
        now = self._now()
        rules = {each.name: each for each in self._rules}
        return {
            key: account.spent_in_window(rules[rule], now)
            for key, account in self._accounts.items()
            if key.rule == rule
        }


def _can_count(rule: BudgetRule, deployment: Deployment, most: Decimal | None) -> bool:
    """Whether it has a price in the rule's currency; a hard rule can't be kept without one."""
    if most is not None and deployment.prices.currency == rule.currency:
        return True
    if not rule.hard:
        return False
    why = "has no known price" if most is None else f"has no price in {rule.currency}"
    raise BudgetSpent(rule.name, f"the budget {rule.name} covers {deployment.name}, which {why}")


def _spent(
    rule: BudgetRule, key: AccountKey, refusal: Refusal, amount: Decimal, now: datetime
) -> BudgetSpent:
    left = max(Decimal(0), rule.limit - refusal.spent - refusal.reserved)
    wait = None if refusal.again_at is None else (refusal.again_at - now).total_seconds()
    return BudgetSpent(
        rule.name,
        f"the budget {key} has {left} of {rule.limit} {rule.currency} left for this "
        f"{rule.period.value}, and the request may cost {amount}",
        retry_after=None if wait is None else Seconds(max(0.0, wait)),
    )


NO_BUDGETS = BudgetBook()
"""Nothing is limited."""
