"""This process's slices of the budgets, taken from and reported to their accounts in the state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from weakref import WeakKeyDictionary

from core.budgets.account import NOTHING
from core.budgets.leasing import LEASE, LeaseLost, Refusal, fair_slice
from core.budgets.purse import Purse
from core.budgets.refusing import budget_spent
from core.budgets.rows import AlertRow
from core.budgets.rules import AccountKey, BudgetRule, Spender
from core.clock import Clock
from core.errors import Unavailable
from core.identifiers import BootId, Seconds
from core.ports.bus import Bus, Everyone
from core.ports.state import State
from services.models.budget_ledger import BudgetLedger

_MARGIN = Seconds(10.0)
GOOD_FOR = Seconds(LEASE.total_seconds() - _MARGIN)
"""A lease counts as over for its holder so long before others may take the holder for gone."""
BETWEEN = Seconds(1.0)
"""So often is looked at what there is to report, renew or give back."""
LIFE = Seconds(900.0)
"""A name is used for so long: that bounds what has to be counted if its holder dies."""
_REPORT_AFTER, _RENEW_AFTER = Seconds(5.0), Seconds(10.0)
_MOST_KNOWN = 10_000
_TOGETHER = 32
"""Reports that are made at once, so that they can share a commit."""


@dataclass(slots=True)
class Holding:
    """All that one name of this process holds."""

    holder: str
    since: Seconds | None = None
    purses: dict[AccountKey, Purse] = field(default_factory=dict)
    known: dict[Spender, tuple[Sequence[BudgetRule], tuple[Purse, ...]]] = field(
        default_factory=dict
    )


class BudgetAccounts:
    """The purses of this process, and the way to their accounts.

    `lease_clock` is one that nobody sets, and that counts the time in which the machine slept.
    `alert` is told what has been reached, once in all the installation.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        lease_clock: Callable[[], Seconds],
        boot: BootId,
        bus: Bus,
        alert: Callable[[AlertRow], None] = lambda _: None,
    ) -> None:
        self.clock = clock
        self._ledger = BudgetLedger(state)
        self._lease_clock = lease_clock
        self._boot = boot
        self._bus = bus
        self._alert = alert
        self._lives = 0
        self._old: list[Holding] = []
        self._current = self._new_holding()
        self._locks: WeakKeyDictionary[Purse, asyncio.Lock] = WeakKeyDictionary()
        self._wake = asyncio.Event()
        self._all_shrink = False
        self._called_in = Seconds(-BETWEEN)

    def purses(self, rules: Sequence[BudgetRule], spender: Spender) -> tuple[Purse, ...]:
        """This spender's, all under one name."""
        now = self._lease_clock()
        if self._current.since is not None and now - self._current.since > LIFE:
            self.begin_anew()
        if self._current.since is None:
            self._current.since = now
        known = self._current.known
        found = known.get(spender)
        if found is None or found[0] is not rules:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            made = tuple(self._purse(rule, rule.account(spender)) for rule in rules)
            found = known[spender] = (rules, made)
        return found[1]

    def first_short(self, purses: Sequence[Purse], amount: Decimal) -> Purse | None:
        """The first from which so much may not be taken now."""
        now = self._lease_clock()
        return next((purse for purse in purses if not purse.allows(amount, now)), None)

    def first_lost(self, purses: Sequence[Purse]) -> Purse | None:
        """The first that is no longer this process's own."""
        now = self._lease_clock()
        return next((purse for purse in purses if not purse.is_good(now)), None)

    def note_low(self, purses: Sequence[Purse]) -> None:
        """Have those filled up soon that are nearly empty, so that no call has to wait for it."""
        if any(purse.is_low for purse in purses):
            self._wake.set()

    def begin_anew(self) -> None:
        """Spend under another name from now on; what the old one holds is given back."""
        self._old.append(self._current)
        self._current = self._new_holding()

    async def extend(self, purse: Purse, need: Decimal) -> None:
        """Have the purse allow so much more. Raises BudgetSpent, Unavailable."""
        async with self._lock(purse):
            if not purse.lost and not purse.allows(need, self._lease_clock()):
                refusal = await self._report(purse, need)
                if refusal is not None:
                    if refusal.leased:
                        self._call_in()
                    raise budget_spent(purse.rule, purse.key, refusal, need, self.clock.now())
        if purse.lost and purse.holder == self._current.holder:
            self.begin_anew()

    async def keep(self) -> None:
        """Report what is spent, and renew what is held, again and again. Never returns."""
        leave = self._bus.subscribe(Everyone.BUDGETS, lambda _: self._shrink_soon())
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(BETWEEN):
                        await self._wake.wait()
                self._wake.clear()
                with suppress(Unavailable):  # the next round may find the store there
                    await self.keep_once()
        finally:
            leave()

    async def keep_once(self) -> None:
        """One round of it. Raises Unavailable; then what is left is done in the next."""
        shrink, self._all_shrink = self._all_shrink, False
        due = [purse for purse in self._current.purses.values() if self._is_due(purse, shrink)]
        for at in range(0, len(due), _TOGETHER):
            together = due[at : at + _TOGETHER]
            looked = (self._look_after(purse, shrink) for purse in together)
            for failed in await asyncio.gather(*looked, return_exceptions=True):
                if failed is not None:
                    raise failed
        if any(purse.lost for purse in due):
            self.begin_anew()
        for holding in self._old:
            for purse in list(holding.purses.values()):
                await self._wind_up(holding, purse)
        self._old = [holding for holding in self._old if holding.purses]

    async def close(self) -> None:
        """Report all that was spent, and give back what no call under way needs."""
        self.begin_anew()
        with suppress(Unavailable):  # others count what this process has spent
            await self.keep_once()

    def _is_due(self, purse: Purse, shrink: bool) -> bool:
        if purse.lost or purse.oversized or (shrink and purse.free > 0):
            return True
        since = self._lease_clock() - (purse.good_until - GOOD_FOR)
        if (purse.has_news and since > _REPORT_AFTER) or (purse.amount and since > _RENEW_AFTER):
            return True
        return purse.used and purse.is_low

    async def _look_after(self, purse: Purse, shrink: bool) -> None:
        """Report what it has spent, fill it up, or give back what it does not use."""
        async with self._lock(purse):
            if not purse.lost:
                await self._report(purse, shrink=shrink or purse.gives_back)

    async def _wind_up(self, holding: Holding, purse: Purse) -> None:
        """Give up the name, once no call needs it."""
        async with self._lock(purse):
            if not purse.is_over and (purse.empty or self._is_due(purse, shrink=True)):
                await self._report(purse, shrink=True, ends=purse.empty)
            if purse.is_over:
                del holding.purses[purse.key]

    async def _report(
        self,
        purse: Purse,
        need: Decimal = NOTHING,
        *,
        shrink: bool = False,
        ends: bool = False,
    ) -> Refusal | None:
        """Tell the account, and take over what it says. Raises Unavailable.

        Whatever stops it in between, it is told once more before anything else is.
        """
        report = purse.report(need, shrink=shrink, ends=ends)
        sent = self._lease_clock()
        try:
            written = await self._ledger.write(purse.rule, purse.key, report)
        except LeaseLost:
            purse.lost = True
            return None
        except BaseException as error:
            if isinstance(error, Unavailable) and getattr(error, "outcome_known", True):
                purse.not_written()
            else:
                purse.in_doubt(sent, GOOD_FOR)
            raise
        if isinstance(written, Refusal):
            purse.not_written()
            return written
        account, now = written.account, written.now
        fair = fair_slice(account, purse.rule, purse.holder, report.held, purse.usual, now)
        purse.written(account.leases.get(purse.holder), Seconds(sent + GOOD_FOR), fair)
        for alert in written.alerts:
            self._alert(alert)
            self._bus.publish(Everyone.BUDGETS)
        return None

    def _call_in(self) -> None:
        """Have everyone give back what is not used, but not all the time."""
        now = self._lease_clock()
        if now - self._called_in > BETWEEN:
            self._called_in = now
            self._bus.publish(Everyone.BUDGETS)

    def _shrink_soon(self) -> None:
        self._all_shrink = True
        self._wake.set()

    def _new_holding(self) -> Holding:
        self._lives += 1
        return Holding(f"{self._boot}.{self._lives}")

    def _purse(self, rule: BudgetRule, key: AccountKey) -> Purse:
        purse = self._current.purses.get(key)
        if purse is None:
            purse = self._current.purses[key] = Purse(rule, key, self._current.holder)
        return purse

    def _lock(self, purse: Purse) -> asyncio.Lock:
        lock = self._locks.get(purse)
        if lock is None:
            lock = self._locks[purse] = asyncio.Lock()
        return lock
