"""Several processes spend one hard budget, in every order: it is never overrun.

What is spent is what calls cost, whoever knows of it: the record (attempts and ledger) is kept
here beside the account, as the store would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.budgets.account import Account, Lease
from core.budgets.counting import count
from core.budgets.leasing import LEASE, LeaseLost, Refusal, closed, fair_slice, renewed
from core.budgets.purse import Purse
from core.budgets.rows import HeldAttempt
from core.budgets.rules import BudgetRule, Period, Spender
from core.budgets.windows import counts, slot_of
from core.identifiers import Seconds

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANN = Spender("acme", "ann")
GOOD_FOR = LEASE - timedelta(seconds=10)


@dataclass
class Attempt:
    reserved: Decimal
    holder: str
    cost: Decimal | None = None
    booked_at: datetime | None = None


@dataclass
class Process:
    """One with a purse, and a report that is on its way."""

    purse: Purse
    calls: dict[int, Attempt] = field(default_factory=dict)
    reply: tuple[Lease | None, Seconds, Decimal] | None = None

    def hear(self) -> None:
        """The reply to the report that is on its way, if there is one."""
        if self.reply is not None:
            self.purse.written(*self.reply)
            self.reply = None


class Processes(RuleBasedStateMachine):
    """Calls begin and end, reports are lost in doubt, processes die, others count what they did."""

    limit = BudgetRule("x", Decimal(20), Period.MINUTE)

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN
        self.account = Account()
        self.attempts: list[Attempt] = []
        self.processes: list[Process] = []
        self.names = self.ids = 0
        self.begin_process()
        self.begin_process()

    @property
    def clock(self) -> Seconds:
        return Seconds((self.now - BEGAN).total_seconds() + 1000.0)

    @precondition(lambda self: len(self.processes) < 3)
    @rule()
    def begin_process(self) -> None:
        self.names += 1
        purse = Purse(self.limit, self.limit.account(ANN), f"p{self.names}")
        self.processes.append(Process(purse))

    @rule(which=st.integers(0, 2), amount=st.sampled_from(["0.1", "4", "9"]))
    def begin_call(self, which: int, amount: str) -> None:
        process, need = self.pick(which), Decimal(amount)
        if not process.purse.allows(need, self.clock):
            self.report(process, need)
        if process.purse.allows(need, self.clock):
            self.ids += 1
            process.purse.set_aside(self.ids, need)
            attempt = process.calls[self.ids] = Attempt(need, process.purse.holder)
            self.attempts.append(attempt)

    @rule(which=st.integers(0, 2), share=st.sampled_from([0, 4]), data=st.data())
    def end_call(self, which: int, share: int, data: st.DataObject) -> None:
        process = self.pick(which)
        if process.calls:
            id = data.draw(st.sampled_from(sorted(process.calls)))
            attempt = process.calls.pop(id)
            attempt.cost, attempt.booked_at = attempt.reserved * share / 4, self.now
            process.purse.settle(id, attempt.cost, slot_of(self.limit, self.now))

    @rule(which=st.integers(0, 2), shrink=st.booleans(), waits=st.booleans())
    def look_after(self, which: int, shrink: bool, waits: bool) -> None:
        self.report(self.pick(which), shrink=shrink, waits=waits)

    @rule(which=st.integers(0, 2))
    def hear(self, which: int) -> None:
        self.pick(which).hear()

    @rule(which=st.integers(0, 2), written=st.booleans())
    def lose_a_reply(self, which: int, written: bool) -> None:
        process = self.pick(which)
        process.hear()
        report = process.purse.report()
        if written:
            try:
                after = renewed(self.counted(), self.limit, report, self.now)
            except LeaseLost:
                process.purse.lost = True
                return
            assert isinstance(after, Account)
            self.account = after
        process.purse.in_doubt(self.clock, Seconds(GOOD_FOR.total_seconds()))

    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        process = self.pick(which)
        self.processes.remove(process)
        if not self.processes:
            self.begin_process()

    @rule()
    def others_book_what_died(self) -> None:
        alive = {id(call) for process in self.processes for call in process.calls.values()}
        for attempt in self.attempts:
            if attempt.booked_at is None and id(attempt) not in alive:
                attempt.cost, attempt.booked_at = attempt.reserved, self.now

    @rule(seconds=st.sampled_from([1, 21, 31]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def never_overrun(self) -> None:
        """What the record says, with what open calls may come to, is within the limit."""
        booked = sum(
            (
                a.cost
                for a in self.attempts
                if a.booked_at is not None
                and a.cost is not None
                and counts(self.limit, slot_of(self.limit, a.booked_at), self.now)
            ),
            Decimal(0),
        )
        still_open = sum((a.reserved for a in self.attempts if a.booked_at is None), Decimal(0))
        assert booked + still_open <= self.limit.limit

    def pick(self, which: int) -> Process:
        process = self.processes[which % len(self.processes)]
        if process.purse.lost:
            self.names += 1
            process.purse = Purse(self.limit, process.purse.key, f"p{self.names}")
            process.calls = {}  # they go on, on record; who counts them is another
        return process

    def report(
        self,
        process: Process,
        need: Decimal = Decimal(0),
        *,
        shrink: bool = False,
        waits: bool = False,
    ) -> None:
        """As BudgetAccounts. Where the reply `waits`, calls begin and end meanwhile."""
        process.hear()
        purse = process.purse
        report = purse.report(need, shrink=shrink)
        try:
            after = renewed(self.counted(), self.limit, report, self.now)
        except LeaseLost:
            purse.lost = True
            return
        if isinstance(after, Refusal):
            purse.not_written()
            return
        self.account = after
        fair = fair_slice(after, self.limit, purse.holder, report.held, purse.usual, self.now)
        good_until = Seconds(self.clock + GOOD_FOR.total_seconds())
        process.reply = (after.leases.get(purse.holder), good_until, fair)
        if not waits:
            process.hear()

    def counted(self) -> Account:
        account = self.account
        for holder in account.lapsed(self.now):
            rows = [
                HeldAttempt("u", n, ANN, a.reserved, a.cost, "USD", a.booked_at)
                for n, a in enumerate(self.attempts)
                if a.holder == holder
            ]
            found = count(self.limit, self.limit.account(ANN), rows)
            account = closed(account, self.limit, holder, found, self.now)
        return account


class RollingProcesses(Processes):
    """The same with a window that rolls."""

    limit = BudgetRule("x", Decimal(20), Period.MINUTE, rolling=True)


Processes.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
RollingProcesses.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestProcesses = Processes.TestCase
TestRollingProcesses = RollingProcesses.TestCase
