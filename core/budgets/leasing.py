"""How a lease is taken, renewed, given back, and closed once its holder is gone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from core.budgets.account import NOTHING, Account, Lease, Slots, merged, tidied
from core.budgets.rules import BudgetRule

LEASE = timedelta(seconds=30)
"""How long a lease lasts that holds money. Its holder renews it long before."""
IDLE_LEASE = timedelta(hours=2)
"""The same of one that holds none, and for which nobody waits. Its holder has ended by then."""
LOOK_AGAIN = timedelta(seconds=5)
"""How long after its attempts were counted a holder that is gone is looked at again."""

_PARTS = 4
"""Each of those who share a budget takes at most this part of its share of what is left."""
_FEW = 4
"""A slice for fewer calls than this is not worth its while: each call is set aside by itself."""
_GRAIN = Decimal("1e-12")


class LeaseLost(Exception):
    """The holder counts as gone: it spends no more under this name, and need tell nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a holder tells and asks for as it renews its lease.

    `number` counts its reports from 1: one that was written already is not written again. `spent`
    is what it has spent since the one before, `held` what its calls under way may cost, `kept`
    what its lease must not fall below, `need` what one more call may cost, and `usual` what calls
    cost at most as a rule; 0: it wants nothing in advance. `ends`: it gives up its name.
    """

    holder: str
    number: int
    spent: Slots
    held: Decimal = NOTHING
    kept: Decimal = NOTHING
    need: Decimal = NOTHING
    usual: Decimal = NOTHING
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The limit might be exceeded. `leased` is held for others, and for calls under way.

    `again_at` is when enough will have left the window.

    None: it will never be enough, or only once others have given back what they hold.
    """

    spent: Decimal
    leased: Decimal
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Counted:
    """What the record says of a holder: what is booked, and what open attempts may come to."""

    booked: Slots
    open: Decimal


def renewed(account: Account, rule: BudgetRule, report: Report, now: datetime) -> Account | Refusal:
    """The account after this report. Raises LeaseLost.

    A soft rule never refuses; a hard one only where there is a `need`.
    """
    own = account.leases.get(report.holder)
    if (own is None and report.number > 1) or (own is not None and own.closing):
        raise LeaseLost
    if own is not None and own.renewal >= report.number:
        return account
    told = Lease(
        own.amount if own else NOTHING,
        now,
        merged(own.spent if own else {}, report.spent),
        report.number,
    )
    others = {name: lease for name, lease in account.leases.items() if name != report.holder}
    current = tidied(Account(account.spent, others), rule, now)
    if report.ends:
        spent = merged(current.spent, told.spent)
        return tidied(Account(spent, current.leases), rule, now)
    with_own = Account(
        current.spent, {**current.leases, report.holder: replace(told, amount=NOTHING)}
    )
    amount = _amount(with_own, rule, report, now)
    if isinstance(amount, Refusal):
        return amount
    expires = now + (LEASE if amount else IDLE_LEASE)
    lease = replace(told, amount=amount, expires=expires)
    return tidied(Account(current.spent, {**current.leases, report.holder: lease}), rule, now)


def _amount(account: Account, rule: BudgetRule, report: Report, now: datetime) -> Decimal | Refusal:
    """How much the holder gets, whose own lease counts as nothing here."""
    least = report.kept + report.need
    if not rule.hard:
        return least
    spent, leased = account.spent_in_window(rule, now), account.leased
    room = rule.limit - spent - leased
    if least > room and report.need:
        again_at = account.room_at(rule, rule.limit - leased - least)
        return Refusal(spent, leased + report.kept, again_at)
    asked = report.held + report.need
    return max(least, asked + _slice(account, room - asked, report.usual))


def _slice(account: Account, left: Decimal, usual: Decimal) -> Decimal:
    """What one holder may have to itself of what is left beside all leases.

    Nothing where that would not do for a few of its `usual` calls: near its limit a budget is
    given out by the call.
    """
    sharers = max(1, sum(1 for lease in account.leases.values() if not lease.closing))
    part = left / (_PARTS * sharers)
    if not usual or part < _FEW * usual:
        return NOTHING
    return part.quantize(_GRAIN, ROUND_DOWN)


def fair_slice(
    account: Account, rule: BudgetRule, holder: str, held: Decimal, usual: Decimal, now: datetime
) -> Decimal:
    """What this holder would get beside `held`, if it gave everything else back now."""
    own = account.leases.get(holder)
    beside = account.leased - (own.amount if own else NOTHING)
    left = rule.limit - account.spent_in_window(rule, now) - beside - held
    return _slice(account, left, usual)


def closed(
    account: Account, rule: BudgetRule, holder: str, counted: Counted, now: datetime
) -> Account:
    """The account with a holder that is gone at what the record says of it.

    While attempts of it are open, what they may come to stays leased.
    """
    lease = account.leases.get(holder)
    if lease is None or holder not in account.lapsed(now):
        return account
    others = {name: each for name, each in account.leases.items() if name != holder}
    if not counted.open:
        return tidied(Account(merged(account.spent, counted.booked), others), rule, now)
    kept = Lease(counted.open, now + LOOK_AGAIN, counted.booked, lease.renewal, closing=True)
    return tidied(Account(account.spent, {**others, holder: kept}), rule, now)


def reached(rule: BudgetRule, spent: Decimal) -> tuple[Decimal, ...]:
    """The thresholds at or below what was spent."""
    return tuple(t for t in rule.thresholds if spent and spent >= t * rule.limit)
