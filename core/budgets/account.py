"""One budget's account: what was spent, and what is reserved by calls that are under way.

Spent and reserved together never exceed a hard limit, however calls overlap: each reserves the
most that it can cost, right before it is made. A reservation is a lease: that of a process which
died runs out by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from core.budgets.rules import BudgetRule
from core.budgets.windows import counts, leaves, slot_of


@dataclass(frozen=True, slots=True)
class Lease:
    """Money set aside for one call, until `expires`."""

    amount: Decimal
    expires: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """`spent` is money by the slot in which it was spent, `leases` are those by their ids."""

    spent: Mapping[datetime, Decimal] = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)

    def spent_in_window(self, rule: BudgetRule, now: datetime) -> Decimal:
        """What counts against the limit now, without reservations."""
        return sum((m for slot, m in self.spent.items() if counts(rule, slot, now)), Decimal(0))

    def reserved(self, now: datetime) -> Decimal:
        """What calls under way may still come to."""
        return sum((le.amount for le in self.leases.values() if le.expires > now), Decimal(0))

    @property
    def idle(self) -> bool:
        """Whether it holds nothing."""
        return not self.spent and not self.leases


@dataclass(frozen=True, slots=True)
class Refusal:
    """The limit might be exceeded. `again_at` is when enough will have left the window.

    None: it will never be enough, or only once calls that are under way have ended.
    """

    spent: Decimal
    reserved: Decimal
    again_at: datetime | None


def reserve(
    account: Account, rule: BudgetRule, id: str, lease: Lease, now: datetime
) -> Account | Refusal:
    """Set money aside for a call; a soft rule never refuses. The same id replaces its lease."""
    current = _swept(account, rule, now)
    others = {key: le for key, le in current.leases.items() if key != id}
    reserved = sum((le.amount for le in others.values()), Decimal(0))
    spent = current.spent_in_window(rule, now)
    if rule.hard and spent + reserved + lease.amount > rule.limit:
        again_at = _when(current, rule, rule.limit - reserved - lease.amount)
        return Refusal(spent, reserved, again_at)
    return replace(current, leases={**others, id: lease})


def settle(account: Account, rule: BudgetRule, id: str, amount: Decimal, now: datetime) -> Account:
    """The call has ended and cost so much; its reservation is gone. A zero only releases."""
    current = _swept(account, rule, now)
    leases = {key: le for key, le in current.leases.items() if key != id}
    spent = dict(current.spent)
    if amount:
        slot = slot_of(rule, now)
        spent[slot] = spent.get(slot, Decimal(0)) + amount
    return Account(spent, leases)


def crossed(
    before: Account, after: Account, rule: BudgetRule, now: datetime
) -> tuple[Decimal, ...]:
    """The thresholds that lie between what was spent before and after."""
    low, high = before.spent_in_window(rule, now), after.spent_in_window(rule, now)
    return tuple(t for t in rule.thresholds if low < t * rule.limit <= high)


def _swept(account: Account, rule: BudgetRule, now: datetime) -> Account:
    """Without what no longer counts, so that an account never grows."""
    spent = {slot: money for slot, money in account.spent.items() if counts(rule, slot, now)}
    leases = {key: le for key, le in account.leases.items() if le.expires > now}
    return Account(spent, leases)


def _when(account: Account, rule: BudgetRule, room: Decimal) -> datetime | None:
    """When no more than `room` of what was spent will still be in the window."""
    if room < 0:
        return None
    left = sum(account.spent.values(), Decimal(0))
    for slot in sorted(account.spent):
        left -= account.spent[slot]
        if left <= room:
            return leaves(rule, slot)
    return None
