"""Accounts, leases and purses of budgets, one at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.budgets.account import Account, Lease, tidied
from core.budgets.counting import count
from core.budgets.leasing import (
    LEASE,
    Counted,
    LeaseLost,
    Refusal,
    Report,
    closed,
    reached,
    renewed,
)
from core.budgets.purse import Purse
from core.budgets.rows import HeldAttempt
from core.budgets.rules import AccountKey, BudgetRule, Period, Spender, Subject
from core.budgets.windows import counts, leaves, slot_of, window_of
from core.identifiers import Seconds

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = NOON.replace(hour=0)
TEN = BudgetRule("ten", Decimal(10), Period.DAY)
HOUR = timedelta(hours=1)
D = Decimal


def took(account: Account, report: Report, rule: BudgetRule = TEN, at: datetime = NOON) -> Account:
    made = renewed(account, rule, report, at)
    assert isinstance(made, Account)
    return made


def test_what_others_hold_counts_too() -> None:
    """Elsewhere: parallel requests pass the check before spend is recorded (litellm 34732)."""
    account = took(Account(), Report("a", 1, {}, need=D(4)))
    account = took(account, Report("b", 1, {}, need=D(6)))
    refused = renewed(account, TEN, Report("c", 1, {}, need=D("0.01")), NOON)
    assert refused == Refusal(D(0), D(10), None)
    told = took(account, Report("a", 2, {DAY: D(1)}))
    assert isinstance(renewed(told, TEN, Report("c", 1, {}, need=D(3)), NOON), Account)


def test_far_from_its_limit_a_budget_is_given_out_in_slices_and_near_it_by_the_call() -> None:
    first = took(Account(), Report("a", 1, {}, need=D("0.1"), usual=D("0.1")))
    assert first.leases["a"].amount == D("2.575")  # the call, and a quarter of what is left
    second = took(first, Report("b", 1, {}, need=D("0.1"), usual=D("0.1")))
    assert D("0.9") < second.leases["b"].amount < D("1.1")  # half of the share that one would get
    nearly = took(Account({DAY: D("9.2")}), Report("a", 1, {}, need=D("0.1"), usual=D("0.1")))
    assert nearly.leases["a"].amount == D("0.1")


def test_who_uses_nothing_keeps_nothing() -> None:
    account = took(Account(), Report("a", 1, {}, need=D(1), usual=D("0.1")))
    account = took(account, Report("a", 2, {DAY: D("0.1")}))
    assert account.leases["a"].amount == 0
    assert account.spent_in_window(TEN, NOON) == D("0.1")
    later = tidied(account, TEN, NOON + 3 * HOUR)
    assert later == Account({DAY: D("0.1")})


def test_a_report_that_was_written_is_not_written_again() -> None:
    """The outcome of a commit may be unknown; then the same report is made once more."""
    account = took(Account(), Report("a", 1, {}, need=D(5)))
    report = Report("a", 2, {DAY: D(2)}, held=D(3), kept=D(3))
    once = took(account, report)
    assert took(once, report) == once
    assert once.spent_in_window(TEN, NOON) == 2


def test_who_gives_up_its_name_leaves_what_it_spent() -> None:
    account = took(Account(), Report("a", 1, {}, need=D(5)))
    account = took(account, Report("a", 2, {DAY: D(2)}, ends=True))
    assert account == Account({DAY: D(2)})
    with pytest.raises(LeaseLost):
        renewed(account, TEN, Report("a", 3, {}, need=D(1)), NOON)


class TestGoneHolders:
    """Elsewhere: leaked reservations block users (litellm 27639)."""

    account = took(Account(), Report("a", 1, {}, need=D(5)))
    late = NOON + LEASE

    def test_its_lease_counts_until_its_attempts_have_been_counted(self) -> None:
        assert self.account.lapsed(NOON) == ()
        assert self.account.lapsed(self.late) == ("a",)
        assert isinstance(
            renewed(self.account, TEN, Report("b", 1, {}, need=D(6)), self.late), Refusal
        )

    def test_what_it_booked_is_spent_and_the_rest_is_free(self) -> None:
        done = closed(self.account, TEN, "a", Counted({DAY: D(2)}, D(0)), self.late)
        assert done == Account({DAY: D(2)})

    def test_what_is_open_stays_leased_and_is_looked_at_again(self) -> None:
        some = closed(self.account, TEN, "a", Counted({DAY: D(1)}, D("1.5")), self.late)
        assert (some.spent_in_window(TEN, self.late), some.leased) == (D(1), D("1.5"))
        assert some.lapsed(self.late) == ()
        again = self.late + timedelta(seconds=6)
        assert some.lapsed(again) == ("a",)
        done = closed(some, TEN, "a", Counted({DAY: D("2.1")}, D(0)), again)
        assert done == Account({DAY: D("2.1")})

    def test_one_that_comes_back_spends_no_more_under_its_name(self) -> None:
        some = closed(self.account, TEN, "a", Counted({}, D(1)), self.late)
        with pytest.raises(LeaseLost):
            renewed(some, TEN, Report("a", 2, {DAY: D(3)}), self.late)

    def test_only_those_count_that_the_budget_covers(self) -> None:
        rule = BudgetRule("r", D(9), Period.DAY, each=frozenset({Subject.KEY}))
        mine = Spender("acme", key="k1")
        held = HeldAttempt("u", 1, mine, D(2))
        booked = HeldAttempt("u", 2, mine, D(2), D("0.5"), "USD", NOON)
        foreign = HeldAttempt("u", 3, Spender("acme", key="k2"), D(7))
        euros = HeldAttempt("u", 4, mine, D(2), D(3), "EUR", NOON)
        key = AccountKey("r", ((Subject.KEY, "k1"),))
        found = count(rule, key, [held, booked, foreign, euros])
        assert found == Counted({DAY: D("0.5")}, D(2))


def test_it_is_told_when_there_is_room_again() -> None:
    account = Account({DAY: D(9)})
    refused = renewed(account, TEN, Report("b", 1, {}, need=D(2)), NOON)
    assert refused == Refusal(D(9), D(0), datetime(2026, 2, 1, tzinfo=UTC))
    never = renewed(account, TEN, Report("b", 1, {}, need=D(11)), NOON)
    assert isinstance(never, Refusal)
    assert never.again_at is None


def test_a_rolling_window_has_room_when_enough_has_left_it() -> None:
    rolling = BudgetRule("r", D(10), Period.DAY, rolling=True)
    slots = {slot_of(rolling, NOON): D(4), slot_of(rolling, NOON + 5 * HOUR): D(6)}
    asked = Report("b", 1, {}, need=D(3))
    refused = renewed(Account(slots), rolling, asked, NOON + 6 * HOUR)
    assert isinstance(refused, Refusal)
    assert refused.again_at == NOON + timedelta(days=1, minutes=15)
    assert isinstance(renewed(Account(slots), rolling, asked, refused.again_at), Account)


def test_a_soft_budget_only_tells() -> None:
    soft = BudgetRule("s", D(10), Period.DAY, hard=False)
    account = took(Account(), Report("a", 1, {DAY: D(8)}, held=D(99), kept=D(99)), soft)
    assert account.leased == 99
    assert reached(soft, account.spent_in_window(soft, NOON)) == (D("0.5"), D("0.8"))
    assert reached(soft, D(0)) == ()


def test_whose_account_it_is() -> None:
    spender = Spender("acme", "ann b", "chat", "large", "k1")
    each = BudgetRule("e", D(1), Period.DAY, each=frozenset({Subject.USER, Subject.TENANT}))
    key = each.account(spender)
    assert str(key) == "e (tenant acme, user ann b)"
    assert key.id == "e?tenant=acme&user=ann%20b"
    assert each.tenant(key) == "acme"
    assert each.account(Spender("other", "ann b")) != key
    only = BudgetRule("o", D(1), Period.DAY, only=((Subject.MODEL, "large"),))
    assert only.covers(spender)
    assert not only.covers(Spender("acme", model="small"))
    assert only.tenant(only.account(spender)) == ""
    assert TEN.account(spender).id == "ten"


MOMENTS = st.integers(0, 5 * 366 * 86_400).map(lambda s: NOON + timedelta(seconds=s / 1.7))


@given(st.sampled_from(list(Period)), st.booleans(), MOMENTS)
def test_a_slot_counts_from_its_beginning_until_it_leaves(
    period: Period, rolling: bool, now: datetime
) -> None:
    which = BudgetRule("w", D(1), period, rolling=rolling)
    slot = slot_of(which, now)
    end = leaves(which, slot)
    tick = timedelta(microseconds=1)
    assert window_of(which, now) <= now
    assert slot <= now < end
    assert counts(which, slot, now)
    assert counts(which, slot, end - tick)
    assert not counts(which, slot, end)


def test_a_lease_keeps_what_its_holder_told_before() -> None:
    account = Account(leases={"a": Lease(D(1), NOON + HOUR, {DAY: D(2)}, 4)})
    after = took(account, Report("a", 5, {DAY: D(1)}, held=D(0), kept=D(0)))
    assert after.leases["a"].spent == {DAY: D(3)}


def test_what_is_set_aside_while_a_report_is_under_way_is_leased() -> None:
    """The account must not take back what calls may begin to spend before the reply is here."""
    purse = Purse(TEN, TEN.account(Spender("acme")), "a")
    account = took(Account(), purse.report(D("0.1")))
    purse.written(account.leases["a"], Seconds(20.0), D(1))
    free = purse.free
    account = took(account, purse.report())
    assert purse.allows(free, Seconds(1.0))
    purse.set_aside(1, free)
    assert account.leases["a"].amount >= free
    purse.written(account.leases["a"], Seconds(20.0), D(1))
    account = took(account, purse.report(shrink=True))
    assert not purse.allows(D("0.01"), Seconds(1.0))
    purse.written(account.leases["a"], Seconds(20.0), D(1))
    assert (account.leases["a"].amount, purse.free) == (free, D(0))


def test_a_purse_is_good_for_a_time_only() -> None:
    purse = Purse(TEN, TEN.account(Spender("acme")), "a")
    account = took(Account(), purse.report(D(4)))
    purse.written(account.leases["a"], Seconds(20.0), D(0))
    purse.set_aside(1, D(4))
    assert (purse.is_good(Seconds(19.0)), purse.is_good(Seconds(20.0))) == (True, False)
    purse.settle(1, D(1), DAY)
    assert (purse.free, purse.has_news) == (D(3), True)
    assert not purse.allows(D(1), Seconds(20.0))
