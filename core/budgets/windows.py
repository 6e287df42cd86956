"""Windows of time in which money is counted."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.budgets.rules import BudgetRule, Period

_LENGTHS = {
    Period.MINUTE: timedelta(minutes=1),
    Period.DAY: timedelta(days=1),
    Period.MONTH: timedelta(days=30),
}
_SLOTS = {
    Period.MINUTE: timedelta(seconds=1),
    Period.DAY: timedelta(minutes=15),
    Period.MONTH: timedelta(hours=6),
}
"""A rolling window moves by these: what was spent in a slot leaves it together, a slot late."""


def slot_of(rule: BudgetRule, now: datetime) -> datetime:
    """The beginning of the slot in which spending now is counted. `now` is aware, UTC."""
    if not rule.rolling:
        return _calendar_start(rule.period, now)
    slot = _SLOTS[rule.period]
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (now - day) // slot * slot


def counts(rule: BudgetRule, slot: datetime, now: datetime) -> bool:
    """Whether what was spent in this slot still counts."""
    if not rule.rolling:
        return slot == _calendar_start(rule.period, now)
    return leaves(rule, slot) > now


def leaves(rule: BudgetRule, slot: datetime) -> datetime:
    """When what was spent in this slot counts no longer."""
    if not rule.rolling:
        return _calendar_end(rule.period, slot)
    return slot + _SLOTS[rule.period] + _LENGTHS[rule.period]


def window_of(rule: BudgetRule, now: datetime) -> datetime:
    """Names the window for those who are told once in each: its beginning by the calendar.

    A window that rolls is told of once in each period of the calendar.
    """
    return _calendar_start(rule.period, now)


def _calendar_start(period: Period, now: datetime) -> datetime:
    minute = now.replace(second=0, microsecond=0)
    if period is Period.MINUTE:
        return minute
    day = minute.replace(hour=0, minute=0)
    return day if period is Period.DAY else day.replace(day=1)


def _calendar_end(period: Period, start: datetime) -> datetime:
    if period is not Period.MONTH:
        return start + _LENGTHS[period]
    return (start + timedelta(days=32)).replace(day=1)
