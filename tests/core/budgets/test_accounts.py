"""Budgets: never exceeded, in whatever order calls begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.budgets.account import Account, Lease, Refusal, crossed, reserve, settle
from core.budgets.rules import BudgetRule, Period, Spender, Subject
from core.budgets.windows import counts, leaves, slot_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEN = BudgetRule("ten", Decimal(10), Period.DAY)
HOUR = timedelta(hours=1)


def holding(account: Account, amount: str, id: str = "a", at: datetime = NOON) -> Account:
    made = reserve(account, TEN, id, Lease(Decimal(amount), at + HOUR), at)
    assert isinstance(made, Account)
    return made


def test_what_calls_under_way_may_cost_counts_too() -> None:
    """Elsewhere: parallel requests pass the check before spend is recorded (litellm 34732)."""
    account = holding(holding(Account(), "4"), "6", "b")
    refused = reserve(account, TEN, "c", Lease(Decimal("0.01"), NOON + HOUR), NOON)
    assert refused == Refusal(Decimal(0), Decimal(10), None)
    spent = settle(account, TEN, "a", Decimal(1), NOON)
    assert isinstance(holding(spent, "3", "c"), Account)


def test_a_lease_whose_call_never_ended_runs_out() -> None:
    """Elsewhere: leaked reservations block users (litellm 27639)."""
    account = holding(Account(), "10")
    later = NOON + HOUR
    assert isinstance(reserve(account, TEN, "b", Lease(Decimal(10), later), later), Account)


def test_it_is_told_when_there_is_room_again() -> None:
    account = settle(Account(), TEN, "a", Decimal(9), NOON)
    refused = reserve(account, TEN, "b", Lease(Decimal(2), NOON + HOUR), NOON)
    assert isinstance(refused, Refusal)
    assert refused.again_at == datetime(2026, 2, 1, tzinfo=UTC)
    never = reserve(account, TEN, "b", Lease(Decimal(11), NOON + HOUR), NOON)
    assert isinstance(never, Refusal)
    assert never.again_at is None


def test_a_rolling_window_has_room_when_enough_has_left_it() -> None:
    rolling = BudgetRule("r", Decimal(10), Period.DAY, rolling=True)
    account = settle(Account(), rolling, "", Decimal(4), NOON)
    account = settle(account, rolling, "", Decimal(6), NOON + 5 * HOUR)
    refused = reserve(account, rolling, "b", Lease(Decimal(3), NOON + 9 * HOUR), NOON + 6 * HOUR)
    assert isinstance(refused, Refusal)
    assert refused.again_at == NOON + timedelta(days=1, minutes=15)
    later = refused.again_at
    again = reserve(account, rolling, "b", Lease(Decimal(3), later + HOUR), later)
    assert isinstance(again, Account)


def test_a_soft_budget_only_tells() -> None:
    soft = BudgetRule("s", Decimal(10), Period.DAY, hard=False)
    made = reserve(Account(), soft, "a", Lease(Decimal(99), NOON + HOUR), NOON)
    assert isinstance(made, Account)
    after = settle(made, soft, "a", Decimal(8), NOON)
    assert crossed(made, after, soft, NOON) == (Decimal("0.8"),)
    more = settle(after, soft, "b", Decimal(5), NOON)
    assert crossed(after, more, soft, NOON) == (Decimal(1),)
    assert crossed(more, settle(more, soft, "c", Decimal(5), NOON), soft, NOON) == ()


def test_whose_account_it_is() -> None:
    spender = Spender("acme", "ann", "chat", "large", "k1")
    each = BudgetRule("e", Decimal(1), Period.DAY, each=frozenset({Subject.USER, Subject.TENANT}))
    assert str(each.account(spender)) == "e (tenant acme, user ann)"
    assert each.account(Spender("other", "ann")) != each.account(spender)
    only = BudgetRule("o", Decimal(1), Period.DAY, only=((Subject.MODEL, "large"),))
    assert only.covers(spender)
    assert not only.covers(Spender("acme", model="small"))


MOMENTS = st.integers(0, 5 * 366 * 86_400).map(lambda s: NOON + timedelta(seconds=s / 1.7))


@given(st.sampled_from(list(Period)), st.booleans(), MOMENTS)
def test_a_slot_counts_from_its_beginning_until_it_leaves(
    period: Period, rolling: bool, now: datetime
) -> None:
    which = BudgetRule("w", Decimal(1), period, rolling=rolling)
    slot = slot_of(which, now)
    end = leaves(which, slot)
    tick = timedelta(microseconds=1)
    assert slot <= now < end
    assert counts(which, slot, now)
    assert counts(which, slot, end - tick)
    assert not counts(which, slot, end)


class Calls(RuleBasedStateMachine):
    """Calls reserve, end, die; time goes on; each costs at most what it reserved."""

    limit = BudgetRule("x", Decimal(10), Period.MINUTE)

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.account = Account()
        self.open: dict[str, Lease] = {}
        self.paid: list[tuple[datetime, Decimal]] = []
        self.ids = 0

    @rule(amount=st.integers(1, 8))
    def begin(self, amount: int) -> None:
        self.ids += 1
        lease = Lease(Decimal(amount), self.now + timedelta(minutes=5))
        made = reserve(self.account, self.limit, str(self.ids), lease, self.now)
        room = self.limit.limit - self.in_window() - self.under_way()
        assert isinstance(made, Account) == (amount <= room)
        if isinstance(made, Account):
            self.account = made
            self.open[str(self.ids)] = lease

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.sampled_from([0, 1, 2, 4]))
    def end(self, data: st.DataObject, share: int) -> None:
        id = data.draw(st.sampled_from(sorted(self.open)))
        lease = self.open.pop(id)
        cost = lease.amount * share / 4
        self.account = settle(self.account, self.limit, id, cost, self.now)
        self.paid.append((self.now, cost))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """The process is gone; its lease runs out, and its spend is booked by others."""
        id = data.draw(st.sampled_from(sorted(self.open)))
        self.now = max(self.now, self.open.pop(id).expires)
        self.open = {k: le for k, le in self.open.items() if le.expires > self.now}

    @rule(seconds=st.sampled_from([0.5, 7, 61]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.open = {k: le for k, le in self.open.items() if le.expires > self.now}

    def in_window(self) -> Decimal:
        slots = [(slot_of(self.limit, at), cost) for at, cost in self.paid]
        return sum(
            (cost for slot, cost in slots if counts(self.limit, slot, self.now)),
            Decimal(0),
        )

    def under_way(self) -> Decimal:
        return sum((lease.amount for lease in self.open.values()), Decimal(0))

    @invariant()
    def within(self) -> None:
        spent = self.account.spent_in_window(self.limit, self.now)
        assert spent == self.in_window()
        assert self.account.reserved(self.now) == self.under_way()
        assert spent + self.under_way() <= self.limit.limit

    @invariant()
    def bounded(self) -> None:
        assert len(self.account.spent) <= 62


class RollingCalls(Calls):
    """The same with a window that rolls."""

    limit = BudgetRule("x", Decimal(10), Period.MINUTE, rolling=True)


Calls.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
RollingCalls.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestCalls = Calls.TestCase
TestRollingCalls = RollingCalls.TestCase
