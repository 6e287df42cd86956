"""One budget's account: what was spent, and what is leased to those who spend from it.

What was spent in the window and what is leased never exceed a hard limit together, at any moment
at which the account is written. Who holds a lease spends from it without asking again, so the
limit holds however many do at once. A lease does not lapse into nothing: that of a holder which
is gone stays until its attempts have been counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.budgets.rules import BudgetRule
from core.budgets.windows import counts, leaves

Slots = Mapping[datetime, Decimal]
"""Money by the slot of time in which it was spent."""
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Lease:
    """What one holder may still spend until `expires`, and what it has told of: `spent`.

    `renewal` counts its reports. `closing`: the holder is gone, and `amount` is what its attempts
    that are not booked yet may come to.
    """

    amount: Decimal
    expires: datetime
    spent: Slots = field(default_factory=dict)
    renewal: int = 0
    closing: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """`spent` is what holders have spent that have given their leases up; `leases` by holder."""

    spent: Slots = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)

    def spent_in_window(self, rule: BudgetRule, now: datetime) -> Decimal:
        """What counts against the limit now, as far as it was told; without leases."""
        return sum((m for slot, m in self._all_spent() if counts(rule, slot, now)), NOTHING)

    @property
    def leased(self) -> Decimal:
        """What holders may still spend, all together."""
        return sum((lease.amount for lease in self.leases.values()), NOTHING)

    def lapsed(self, now: datetime) -> tuple[str, ...]:
        """The holders that are gone, and whose attempts have to be counted."""
        return tuple(
            holder
            for holder, lease in sorted(self.leases.items())
            if lease.expires <= now and (lease.amount or lease.closing)
        )

    def room_at(self, rule: BudgetRule, room: Decimal) -> datetime | None:
        """When no more than `room` of what was spent will still be in the window."""
        if room < 0:
            return None
        slots = merged(self.spent, *(lease.spent for lease in self.leases.values()))
        left = sum(slots.values(), NOTHING)
        for slot in sorted(slots):
            left -= slots[slot]
            if left <= room:
                return leaves(rule, slot)
        return None

    def next_release(self, rule: BudgetRule) -> datetime | None:
        """When the first part of what was spent leaves the window; None where nothing was."""
        return min((leaves(rule, slot) for slot, _ in self._all_spent()), default=None)

    def _all_spent(self) -> list[tuple[datetime, Decimal]]:
        parts = [self.spent, *(lease.spent for lease in self.leases.values())]
        return [item for part in parts for item in part.items()]


def merged(*parts: Slots) -> Slots:
    """The sums, slot by slot."""
    found: dict[datetime, Decimal] = {}
    for part in parts:
        for slot, money in part.items():
            found[slot] = found.get(slot, NOTHING) + money
    return found


def tidied(account: Account, rule: BudgetRule, now: datetime) -> Account:
    """Without what no longer counts, so that an account never grows.

    A lease that held nothing when it ran out had nothing left to tell: what it told is kept.
    """
    spent, leases = account.spent, {}
    for holder, lease in account.leases.items():
        if lease.expires <= now and not lease.amount and not lease.closing:
            spent = merged(spent, lease.spent)
        else:
            leases[holder] = Lease(
                lease.amount,
                lease.expires,
                _that_count(lease.spent, rule, now),
                lease.renewal,
                lease.closing,
            )
    return Account(_that_count(spent, rule, now), leases)


def _that_count(slots: Slots, rule: BudgetRule, now: datetime) -> Slots:
    return {slot: money for slot, money in slots.items() if counts(rule, slot, now)}
