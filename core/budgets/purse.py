"""What a process holds of one budget, spent from in memory between two reports to the account."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.budgets.account import NOTHING, Lease, merged
from core.budgets.leasing import Report
from core.budgets.rules import AccountKey, BudgetRule
from core.identifiers import Seconds


class Purse:
    """A lease in its holder's hands.

    What is set aside and what was spent since the last report stay within the lease's amount,
    which is good until `good_until` by the clock that leases run on. While a report is under way
    that may shrink it, or its outcome is not known, nothing is set aside.
    """

    def __init__(self, rule: BudgetRule, key: AccountKey, holder: str) -> None:
        self.rule = rule
        self.key = key
        self.holder = holder
        self.amount = NOTHING
        self.good_until = Seconds(0.0)
        self.usual = NOTHING
        self.used = False
        self.lost = False
        self.tight = False
        self.oversized = False
        self._set_aside: dict[int, Decimal] = {}
        self._held = NOTHING
        self._spent: dict[datetime, Decimal] = {}
        self._unreported = NOTHING
        self._report: Report | None = None
        self._number = 0
        self._closed = False
        self._doubted_since: Seconds | None = None
        self._has_lease = False

    @property
    def empty(self) -> bool:
        """Whether no call under way was set aside for."""
        return not self._set_aside

    @property
    def has_news(self) -> bool:
        """Whether there is something that the account does not know."""
        return self._report is not None or bool(self._unreported)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left, here or in the account."""
        return self.lost or not (self._set_aside or self.has_news or self._has_lease)

    @property
    def free(self) -> Decimal:
        """What may still be set aside."""
        return self.amount - self._held - self._unreported

    @property
    def is_low(self) -> bool:
        """Whether it should be filled up: it has little left, and there is more to be had."""
        return self.rule.hard and not self.tight and self.free < 2 * self.usual

    @property
    def gives_back(self) -> bool:
        """Whether it holds what it does not need: more than is fair, or it is not used."""
        return self._report is None and self.free > 0 and (self.oversized or not self.used)

    def allows(self, amount: Decimal, now: Seconds) -> bool:
        """Whether so much may be set aside now. A soft budget always allows."""
        if self.lost:
            return False
        if not self.rule.hard:
            return True
        return not self._closed and now < self.good_until and amount <= self.free

    def is_good(self, now: Seconds) -> bool:
        """Whether what was set aside is still the holder's own."""
        return not self.rule.hard or (not self.lost and now < self.good_until)

    def set_aside(self, id: int, amount: Decimal) -> None:
        """For a call that is about to be made."""
        self._set_aside[id] = amount
        self._held += amount
        self.usual = amount
        self.used = True

    def settle(self, id: int, cost: Decimal, slot: datetime) -> None:
        """The call has ended and cost so much; 0 only gives back."""
        amount = self._set_aside.pop(id, None)
        if amount is None:
            return
        self._held -= amount
        if cost:
            self._spent[slot] = self._spent.get(slot, NOTHING) + cost
            self._unreported += cost

    def report(
        self, need: Decimal = NOTHING, *, shrink: bool = False, ends: bool = False
    ) -> Report:
        """What to tell the account: the report before once more, where its outcome is not known."""
        if self._report is None:
            wants = self.used and not shrink and not ends
            closes = shrink or ends or bool(need)
            self._number += 1
            self._report = Report(
                self.holder,
                self._number,
                self._spent,
                self._held,
                self._kept(wants=wants, shrink=closes),
                need,
                max(self.usual, need) if wants or need else NOTHING,
                ends,
            )
            self._spent = {}
            self._closed = closes
        return self._report

    def _kept(self, *, wants: bool, shrink: bool) -> Decimal:
        """What the lease must still hold: of a hard budget, what may be set aside meanwhile too.

        A soft one holds something as long as it is used, so that its holder is missed if it dies.
        """
        if not self.rule.hard:
            return self._held + (self.usual if wants else NOTHING)
        return self._held if shrink else max(self._held, self.amount - self._unreported)

    def written(self, lease: Lease | None, good_until: Seconds, fair: Decimal) -> None:
        """The account has the report, and the lease is this now. `fair` is what it may hold."""
        assert self._report is not None
        self._unreported -= sum(self._report.spent.values(), NOTHING)
        self._is_known()
        self.used = False
        self.amount = lease.amount if lease else NOTHING
        self._has_lease = lease is not None
        self.good_until = good_until
        self.tight = self.rule.hard and not fair
        self.oversized = self.rule.hard and self.free > 2 * fair

    def not_written(self) -> None:
        """The account was left as it was, and that is certain."""
        assert self._report is not None
        self._spent = dict(merged(self._spent, self._report.spent))
        self._number -= 1
        self._is_known()

    def in_doubt(self, now: Seconds, patience: Seconds) -> None:
        """Nobody knows what became of the report: one that might shrink it keeps it closed.

        After so long the lease may be over, and what was reported may have been counted: lost.
        """
        if self._doubted_since is None:
            self._doubted_since = now
        self.lost = now - self._doubted_since > patience

    def _is_known(self) -> None:
        self._report = None
        self._closed = False
        self._doubted_since = None
