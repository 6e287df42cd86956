"""The state's rows about budgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from contracts.state_samples import ACME, OTHER, a_line, an_attempt
from core.budgets.account import Account, Lease
from core.budgets.rows import AlertRow, BudgetRow
from core.budgets.rules import Spender
from core.identifiers import ApiKeyId, TenantId
from core.pages import Cursor
from core.ports.state import EVERY_TENANT, State

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
LEASED = Account(
    {NOON: Decimal("0.000000000075")},
    {
        "boot-1": Lease(Decimal(4), NOON + timedelta(seconds=30), {NOON: Decimal("1.10")}, 3),
        "boot-2": Lease(Decimal(0), NOON, closing=True),
    },
)
DAILY = BudgetRow("daily?tenant=acme", ACME, "daily", LEASED)
ALERT = AlertRow(DAILY.id, ACME, NOON, Decimal("0.8"), Decimal(10), Decimal(8), "USD", NOON)


async def put(state: State, row: BudgetRow) -> bool:
    async with state.transaction(EVERY_TENANT) as tx:
        return await tx.budgets.replace(row)


async def test_an_account_is_kept_as_it_was_written(state: State) -> None:
    assert await put(state, DAILY)
    async with state.snapshot(ACME) as view:
        assert await view.budgets.get(DAILY.id) == replace(DAILY, version=1)
        assert await view.budgets.get("other") is None


async def test_only_who_knows_the_latest_version_may_write(state: State) -> None:
    assert await put(state, DAILY)
    assert not await put(state, DAILY)
    second = replace(DAILY, version=1, account=Account())
    assert await put(state, second)
    assert not await put(state, second)
    assert not await put(state, replace(DAILY, id="nobody's", version=1))
    async with state.snapshot(ACME) as view:
        assert await view.budgets.get(DAILY.id) == replace(second, version=2)


@pytest.mark.parametrize("version", [0, 1])
async def test_of_many_who_write_at_once_one_is_first(state: State, version: int) -> None:
    if version:
        await put(state, DAILY)
    row = replace(DAILY, version=version)
    done = await asyncio.gather(*[put(state, row) for _ in range(8)])
    assert done.count(True) == 1


async def test_a_later_try_in_the_same_transaction_sees_what_was_first(state: State) -> None:
    await put(state, DAILY)
    async with state.transaction(EVERY_TENANT) as tx:
        assert not await tx.budgets.replace(DAILY)
        found = await tx.budgets.get(DAILY.id)
        assert found is not None
        assert await tx.budgets.replace(replace(found, account=Account()))
    async with state.snapshot(EVERY_TENANT) as view:
        assert (await view.budgets.get(DAILY.id)) == replace(DAILY, account=Account(), version=2)


async def test_a_list_is_in_order_of_id_and_may_be_of_one_rule(state: State) -> None:
    for row in (DAILY, BudgetRow("all", TenantId(""), "all"), replace(DAILY, id="daily?x")):
        assert await put(state, row)
    async with state.snapshot(EVERY_TENANT) as view:
        rows = await view.budgets.list("", 2, None)
        assert [row.id for row in rows] == ["all", "daily?tenant=acme"]
        rest = await view.budgets.list("", 2, Cursor(rows[1].id, rows[1].id))
        assert [row.id for row in rest] == ["daily?x"]
        only = await view.budgets.list("daily", 9, None)
        assert [row.id for row in only] == ["daily?tenant=acme", "daily?x"]


async def test_an_alert_is_told_once(state: State) -> None:
    async def tell(alert: AlertRow = ALERT) -> bool:
        async with state.transaction(EVERY_TENANT) as tx:
            return await tx.budgets.tell(alert)

    assert (await asyncio.gather(*[tell() for _ in range(6)])).count(True) == 1
    higher = replace(ALERT, threshold=Decimal(1), at=NOON + timedelta(hours=1))
    assert await tell(higher)
    assert await tell(replace(ALERT, window=NOON + timedelta(days=1)))
    assert not await tell(replace(ALERT, spent=Decimal(9)))
    async with state.snapshot(ACME) as view:
        found = await view.budgets.alerts(DAILY.id, 9)
        assert found[0] == higher
        assert len(found) == 3
        assert await view.budgets.alerts("other", 9) == []


async def test_another_tenants_budget_is_not_there(state: State) -> None:
    await put(state, DAILY)
    await put(state, BudgetRow("all", TenantId(""), "all"))
    async with state.transaction(EVERY_TENANT) as tx:
        await tx.budgets.tell(ALERT)
    async with state.transaction(OTHER) as tx:
        assert await tx.budgets.get(DAILY.id) is None
        assert await tx.budgets.get("all") is None
        assert await tx.budgets.list("", 9, None) == []
        assert await tx.budgets.alerts(DAILY.id, 9) == []
        with pytest.raises(ValueError, match="another tenant"):
            await tx.budgets.replace(replace(DAILY, version=1))
        assert not await tx.budgets.replace(replace(DAILY, tenant=OTHER, version=1))
    async with state.snapshot(EVERY_TENANT) as view:
        assert [row.id for row in await view.budgets.list("", 9, None)] == ["all", DAILY.id]


async def test_attempts_are_found_by_whose_money_they_are_on(state: State) -> None:
    mine = replace(an_attempt(1), holder="boot-1", key=ApiKeyId("key-1"))
    async with state.transaction(EVERY_TENANT) as tx:
        tx.spending.begin(mine)
        tx.spending.begin(replace(mine, number=2, booked=True))
        tx.spending.begin(replace(an_attempt(3), holder="boot-2"))
        tx.spending.begin(an_attempt(4))
        tx.spending.book(replace(a_line(2), cost=Decimal("0.25")))
    async with state.snapshot(EVERY_TENANT) as view:
        found = await view.budgets.held("boot-1", ("", 0), 9)
        assert [(each.unit, each.number) for each in found] == [(mine.unit, 1), (mine.unit, 2)]
        spender = Spender(mine.tenant, mine.user, mine.feature, mine.deployment, "key-1")
        assert found[0].spender == spender
        assert (found[0].reserved, found[0].booked_at) == (mine.reserved, None)
        assert found[1].cost == Decimal("0.25")
        assert found[1].booked_at == a_line(2).booked_at
        assert await view.budgets.held("boot-1", (mine.unit, 1), 9) == found[1:]
        assert await view.budgets.held("", ("", 0), 9) == []


async def test_the_key_is_kept_with_attempts_and_lines(state: State) -> None:
    async with state.transaction(ACME) as tx:
        tx.spending.begin(replace(an_attempt(1), key=ApiKeyId("key-9"), holder="boot-9"))
        tx.spending.book(replace(a_line(1), key=ApiKeyId("key-9")))
    async with state.snapshot(ACME) as view:
        (attempt,) = await view.spending.attempts(an_attempt(1).unit)
        assert (attempt.key, attempt.holder) == ("key-9", "boot-9")
        assert [line.key for line in await view.spending.lines(a_line(1).unit)] == ["key-9"]
