"""A budget's account in the state: read, decided upon, and written if nobody else was first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.budgets.account import NOTHING, Account, Slots, merged
from core.budgets.counting import count
from core.budgets.leasing import Counted, Refusal, Report, closed, reached, renewed
from core.budgets.rows import AlertRow, BudgetRow
from core.budgets.rules import AccountKey, BudgetRule
from core.budgets.windows import window_of
from core.errors import Unavailable
from core.ports.state import EVERY_TENANT, State, Transaction

_TRIES = 8
_CROWDED = "the budget's account is changed by many at once; send the request again"
_PAGE = 1_000
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Written:
    """The account as it stands now, by the store's time, and which alerts came of it.

    `known` are those that others have given before.
    """

    account: Account
    now: datetime
    alerts: tuple[AlertRow, ...] = ()
    known: tuple[AlertRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """Holders that have to be counted before anything can be decided."""

    holders: tuple[str, ...]


class BudgetLedger:
    """Writes reports. It remembers each account's latest version, which saves reading it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[str, BudgetRow] = {}
        self._told: set[tuple[str, datetime, Decimal, Decimal]] = set()

    async def write(self, rule: BudgetRule, key: AccountKey, report: Report) -> Written | Refusal:
        """Write the report, or refuse what it needs; then nothing is written.

        Raises LeaseLost, and Unavailable: without the store, or where others were always first.
        """
        counted: dict[str, Counted] = {}
        for _ in range(_TRIES):
            row: BudgetRow | None = None
            outcome: Written | Refusal | Gone
            async with self._state.transaction(EVERY_TENANT) as tx:
                outcome, row = await self._try(tx, rule, key, report, counted)
            if isinstance(outcome, Gone):
                self._known.pop(key.id, None)
                counted |= await self._count(rule, key, outcome.holders)
                continue
            self._remember(row)
            if isinstance(outcome, Written):
                self._note_told((*outcome.alerts, *outcome.known))
            return outcome
        raise Unavailable(_CROWDED)

    async def _try(
        self,
        tx: Transaction,
        rule: BudgetRule,
        key: AccountKey,
        report: Report,
        counted: Mapping[str, Counted],
    ) -> tuple[Written | Refusal | Gone, BudgetRow]:
        row = self._known.get(key.id)
        fresh = row is None
        for _ in range(_TRIES):
            if row is None:
                new = BudgetRow(key.id, rule.tenant(key), rule.name)
                row, fresh = await tx.budgets.get(key.id) or new, True
            outcome = _decide(row.account, rule, report, counted, tx.now)
            if isinstance(outcome, Gone):
                return outcome, row
            if isinstance(outcome, Refusal):
                if fresh:
                    return outcome, row
            elif await tx.budgets.replace(replace(row, account=outcome)):
                alerts, known = await self._alerts(tx, rule, row, outcome)
                after = replace(row, account=outcome, version=row.version + 1)
                return Written(outcome, tx.now, alerts, known), after
            row = None
        raise Unavailable(_CROWDED)

    async def _alerts(
        self, tx: Transaction, rule: BudgetRule, row: BudgetRow, account: Account
    ) -> tuple[tuple[AlertRow, ...], tuple[AlertRow, ...]]:
        """Those that nobody has given yet, and those that others have."""
        spent, window = account.spent_in_window(rule, tx.now), window_of(rule, tx.now)
        new: list[AlertRow] = []
        known: list[AlertRow] = []
        for threshold in reached(rule, spent):
            alert = AlertRow(
                row.id, row.tenant, window, threshold, rule.limit, spent, rule.currency, tx.now
            )
            if _name(alert) not in self._told:
                (new if await tx.budgets.tell(alert) else known).append(alert)
        return tuple(new), tuple(known)

    async def _count(
        self, rule: BudgetRule, key: AccountKey, holders: Sequence[str]
    ) -> dict[str, Counted]:
        """What the record says of those who are gone, as of one moment."""
        found: dict[str, Counted] = {}
        async with self._state.snapshot(EVERY_TENANT) as view:
            for holder in holders:
                booked: Slots = {}
                still_open, after = NOTHING, ("", 0)
                while rows := await view.budgets.held(holder, after, _PAGE):
                    page = count(rule, key, rows)
                    booked, still_open = merged(booked, page.booked), still_open + page.open
                    after = (rows[-1].unit, rows[-1].number)
                found[holder] = Counted(booked, still_open)
        return found

    def _note_told(self, alerts: Sequence[AlertRow]) -> None:
        if len(self._told) >= _MOST_KNOWN:
            self._told.clear()
        self._told.update(map(_name, alerts))

    def _remember(self, row: BudgetRow) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[row.id] = row


def _decide(
    account: Account,
    rule: BudgetRule,
    report: Report,
    counted: Mapping[str, Counted],
    now: datetime,
) -> Account | Refusal | Gone:
    gone = tuple(
        holder
        for holder in account.lapsed(now)
        if holder not in counted and holder != report.holder
    )
    if gone:
        return Gone(gone)
    for holder, known in counted.items():
        account = closed(account, rule, holder, known, now)
    return renewed(account, rule, report, now)


def _name(alert: AlertRow) -> tuple[str, datetime, Decimal, Decimal]:
    return alert.budget, alert.window, alert.threshold, alert.limit
