"""Budgets: money set aside before each call, and booked after it.

A process takes a slice of a budget from its account in the state and spends from it in memory;
what it has spent it reports in the background. Near its limit a budget is given out by the call.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.budgets.account import NOTHING
from core.budgets.purse import Purse
from core.budgets.rules import BudgetRule, Spender
from core.budgets.windows import slot_of
from core.catalog import Deployment
from core.errors import BudgetSpent, Unavailable
from core.ports.model_gateway import SpendingUnit
from core.prices import most_cost
from core.principal import Principal
from services.models.budget_accounts import BudgetAccounts

_MOST_SPENDERS = 10_000
"""Whose budgets are remembered at a time."""
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one attempt, in every budget that covers it, under a holder's name."""

    id: int
    purses: tuple[Purse, ...]
    amount: Decimal
    holder: str


class Budgets(Protocol):
    """Says whether an attempt may be paid for."""

    async def reserve(
        self,
        principal: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt: int,
        output: int,
    ) -> Reservation | None:
        """Set aside the most that it can cost. Raises BudgetSpent where a hard limit forbids it.

        None where no budget covers it. Raises Unavailable where the account has to be asked and
        cannot be.
        """

    def require(self, reservation: Reservation) -> None:
        """Before the call, once it is on record under the holder's name: is it still good?

        Raises BudgetSpent where the process was stopped for so long that it is not.
        """

    def settle(self, reservation: Reservation, cost: Decimal | None) -> None:
        """It has ended and cost so much; of an unknown cost, all that was set aside is booked."""

    def release(self, reservation: Reservation) -> None:
        """It was not made after all."""


class NoBudgets:
    """Nothing is limited."""

    async def reserve(
        self,
        principal: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt: int,
        output: int,
    ) -> Reservation | None:
        """See Budgets."""
        del principal, unit, deployment, prompt, output
        return None

    def require(self, reservation: Reservation) -> None:
        """See Budgets."""

    def settle(self, reservation: Reservation, cost: Decimal | None) -> None:
        """See Budgets."""

    def release(self, reservation: Reservation) -> None:
        """See Budgets."""


NO_BUDGETS = NoBudgets()


class BudgetBook:
    """What may be spent by this process, by the rules of the settings.

    Nothing happens between two awaits but in memory, so that no interleaving of calls can exceed
    what was leased; the accounts see to it that not more is leased than there is.
    """

    def __init__(self, rules: Sequence[BudgetRule], accounts: BudgetAccounts) -> None:
        self._rules = tuple(rules)
        self._accounts = accounts
        self._ids = itertools.count(1)
        self._covering: dict[Spender, tuple[BudgetRule, ...]] = {}

    def rules_now(self) -> Sequence[BudgetRule]:
        """What is limited at this moment."""
        return self._rules

    def adopt(self, rules: Sequence[BudgetRule]) -> None:
        """Go by these rules from now on. What was counted under a rule's name stays counted."""
        if tuple(rules) == self._rules:
            return
        self._rules = tuple(rules)
        self._covering.clear()
        self._accounts.begin_anew()

    async def reserve(
        self,
        principal: Principal,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt: int,
        output: int,
    ) -> Reservation | None:
        """See Budgets."""
        if not self._rules:
            return None
        spender = Spender(unit.tenant, unit.user, unit.feature, deployment.name, principal.key)
        rules = self._rules_for(spender)
        if not rules:
            return None
        most = most_cost(prompt, output, deployment.prices)
        countable = tuple(rule for rule in rules if _can_count(rule, deployment, most))
        if not (countable and most):  # what costs nothing takes nothing
            return None
        for _ in range(_TRIES):
            purses = self._accounts.purses(rules if countable == rules else countable, spender)
            short = self._accounts.first_short(purses, most)
            if short is None:
                return self._set_aside(purses, most)
            await self._accounts.extend(short, most)
        raise Unavailable("the budget is taken from by many at once; send the request again")

    def require(self, reservation: Reservation) -> None:
        """See Budgets."""
        lost = self._accounts.first_lost(reservation.purses)
        if lost is not None:
            name = lost.rule.name
            raise BudgetSpent(
                name, f"this process lost its lease of the budget {name}; send the request again"
            )

    def settle(self, reservation: Reservation, cost: Decimal | None) -> None:
        """See Budgets."""
        now = self._accounts.clock.now()
        amount = reservation.amount if cost is None else cost
        for purse in reservation.purses:
            purse.settle(reservation.id, amount, slot_of(purse.rule, now))

    def release(self, reservation: Reservation) -> None:
        """See Budgets."""
        self.settle(reservation, NOTHING)

    def _rules_for(self, spender: Spender) -> tuple[BudgetRule, ...]:
        found = self._covering.get(spender)
        if found is None:
            if len(self._covering) >= _MOST_SPENDERS:
                self._covering.clear()
            found = tuple(rule for rule in self._rules if rule.covers(spender))
            self._covering[spender] = found
        return found

    def _set_aside(self, purses: tuple[Purse, ...], amount: Decimal) -> Reservation:
        id = next(self._ids)
        for purse in purses:
            purse.set_aside(id, amount)
        self._accounts.note_low(purses)
        return Reservation(id, purses, amount, purses[0].holder)


def _can_count(rule: BudgetRule, deployment: Deployment, most: Decimal | None) -> bool:
    """Whether it has a price in the rule's currency; a hard rule can't be kept without one.

    What costs nothing costs nothing in any currency.
    """
    if most is not None and (not most or deployment.prices.currency == rule.currency):
        return True
    if not rule.hard:
        return False
    why = "has no known price" if most is None else f"has no price in {rule.currency}"
    raise BudgetSpent(rule.name, f"the budget {rule.name} covers {deployment.name}, which {why}")
