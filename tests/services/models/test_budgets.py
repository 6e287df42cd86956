"""Budgets in the gateway: set aside before each call, at the candidate's own price."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from core.budgets.rules import BudgetRule, Period, Subject
from core.catalog import Tier
from core.errors import BudgetSpent, FeatureUnsupported
from core.generation import Constraints, GenerationOptions, ModelError, ModelErrorKind
from core.identifiers import TenantId
from fakes.gateway_node import gateway_node
from fakes.language_model import Fail, Hang, Wait, script
from fakes.turn_node import a_model

ONE_WORD = GenerationOptions(max_output_tokens=1)
"""With a prompt of 5 tokens and a price of 1 a token, a call costs 6."""
A_TOKEN = "1000000"


def budget(limit: int, **fields: object) -> BudgetRule:
    return BudgetRule("daily", Decimal(limit), Period.DAY, **fields)  # type: ignore[arg-type]


async def test_parallel_requests_cannot_overrun_it() -> None:
    """Elsewhere: parallel requests pass the budget check before spend is recorded."""
    model = a_model(script(Wait(1), "a"), price=A_TOKEN)
    node = gateway_node(model, budgets=[budget(30)])
    heard = await asyncio.gather(*[node.hear(options=ONE_WORD) for _ in range(20)])
    spent = [h for h in heard if h.error is None]
    refused = [h.error for h in heard if h.error is not None]
    assert (len(spent), len(refused)) == (5, 15)
    assert all(isinstance(error, BudgetSpent) for error in refused)
    assert await node.spent(budget(30)) == {"daily": 30}


async def test_the_refusal_says_which_how_much_and_when() -> None:
    node = gateway_node(a_model(price=A_TOKEN), budgets=[budget(5)])
    error = (await node.hear(options=ONE_WORD)).error
    assert isinstance(error, BudgetSpent)
    assert error.metadata == {
        "budget": "daily",
        "limit": "budget daily",
        "window": "day",
        "amount": "5",
        "currency": "USD",
        "spent": "0",
        "held": "0",
    }
    assert "has 0 of 5 USD spent in this day, and the request may cost 6" in error.message
    assert error.retry_after is None  # it will never fit
    other = gateway_node(a_model(price=A_TOKEN), budgets=[budget(8)])
    await other.hear(options=ONE_WORD)
    later = (await other.hear(options=ONE_WORD)).error
    assert later is not None
    assert later.metadata["opens_at"].endswith("T00:00:00+00:00")
    assert "6 of 8 USD spent" in later.message
    assert later.retry_after == pytest.approx(12 * 3600, abs=60)


async def test_a_cheaper_one_is_asked_where_the_better_is_beyond_the_budget() -> None:
    dear = a_model(script("dear"), name="dear", price=A_TOKEN)
    cheap = a_model(script("cheap"), name="cheap", price="1", tier=Tier.SMALL)
    heard = await gateway_node(dear, cheap, budgets=[budget(5)]).hear(options=ONE_WORD)
    assert (heard.text, heard.switches) == ("cheap", [("dear", "budget_spent")])


async def test_what_was_not_used_is_free_again_at_once() -> None:
    node = gateway_node(a_model(script("a"), price=A_TOKEN), budgets=[budget(1100)])
    for _ in range(12):
        assert (await node.hear()).error is None  # each may cost 1029, and costs 6
    assert await node.spent(budget(1100)) == {"daily": 72}


async def test_a_failed_attempt_and_a_reader_that_left_are_paid_for() -> None:
    cut = ModelError(ModelErrorKind.CONNECTION, "cut")
    node = gateway_node(a_model(script("abc", Fail(cut)), price=A_TOKEN), budgets=[budget(9999)])
    await node.hear()
    assert await node.spent(budget(9999)) == {"daily": 6}
    hanging = gateway_node(a_model(script("abc", Hang()), price=A_TOKEN), budgets=[budget(9999)])
    task = asyncio.create_task(hanging.hear())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait({task})
    assert await hanging.spent(budget(9999)) == {"daily": 6}


async def test_what_is_counted_is_enforced() -> None:
    """Elsewhere: a quota that is counted and not enforced (envoy ai-gateway 2460)."""
    node = gateway_node(a_model(script("a"), price=A_TOKEN), budgets=[budget(6)])
    assert (await node.hear(options=ONE_WORD)).error is None
    assert isinstance((await node.hear(options=ONE_WORD)).error, BudgetSpent)


async def test_each_tenant_has_one_of_its_own() -> None:
    node = gateway_node(
        a_model(script("a"), price=A_TOKEN),
        budgets=[budget(6, each=frozenset({Subject.TENANT}))],
    )
    for tenant in ("acme", "other"):
        order = node.order(tenant=TenantId(tenant), options=ONE_WORD)
        assert (await node.hear(order)).error is None
    assert (await node.hear(options=ONE_WORD)).error is not None


async def test_what_costs_nothing_costs_nothing_in_any_currency() -> None:
    free = a_model(script("a"), price="0")
    node = gateway_node(free, budgets=[budget(5, currency="EUR")])
    assert (await node.hear()).error is None
    assert [attempt.holder for attempt in await node.attempts()] == [""]
    dear = gateway_node(a_model(script("a"), price="1"), budgets=[budget(5, currency="EUR")])
    assert isinstance((await dear.hear()).error, BudgetSpent)


async def test_a_hard_budget_is_not_kept_by_a_price_that_nobody_knows() -> None:
    unknown = a_model(price=None)
    error = (await gateway_node(unknown, budgets=[budget(5)]).hear()).error
    assert isinstance(error, BudgetSpent)
    assert "no known price" in error.message
    soft = gateway_node(unknown, budgets=[budget(5, hard=False)])
    assert (await soft.hear()).error is None


async def test_thresholds_are_told_once() -> None:
    node = gateway_node(a_model(script("a"), price=A_TOKEN), budgets=[budget(20, hard=False)])
    for _ in range(5):
        await node.hear(options=ONE_WORD)
        await asyncio.sleep(6)
        await node.money.accounts.keep_once()
    assert [(a.threshold, a.spent) for a in node.money.alerts] == [
        (Decimal("0.5"), Decimal(12)),
        (Decimal("0.8"), Decimal(18)),
        (Decimal(1), Decimal(24)),
    ]


async def test_the_ledger_says_through_which_key_and_the_attempt_from_whose_lease() -> None:
    node = gateway_node(a_model(script("a"), price=A_TOKEN), budgets=[budget(20)])
    await node.hear(options=ONE_WORD)
    (line,), (attempt,) = await node.ledger(), await node.attempts()
    assert (line.key, attempt.key) == ("key-1", "key-1")
    assert attempt.holder.startswith("boot-1.")
    free = gateway_node(a_model(script("a"), price=A_TOKEN))
    await free.hear(options=ONE_WORD)
    (line,), (attempt,) = await free.ledger(), await free.attempts()
    assert (line.key, attempt.holder) == ("key-1", "")


class TestMaxCost:
    async def test_the_prompt_counts(self) -> None:
        node = gateway_node(a_model(script("a"), price=A_TOKEN))
        limit = Constraints(max_cost=Decimal(8))
        assert (await node.hear(options=ONE_WORD, constraints=limit)).error is None
        long = node.order("word " * 10, options=ONE_WORD, constraints=limit)
        error = (await node.hear(long)).error
        assert isinstance(error, FeatureUnsupported)
        assert "too_expensive" in error.message

    async def test_all_attempts_together_stay_within_it(self) -> None:
        down = ModelError(ModelErrorKind.CONNECTION, "cut")
        first = a_model(script(Fail(down)), name="first", price=A_TOKEN)
        second = a_model(script("never"), name="second", price=A_TOKEN)
        node = gateway_node(first, second)
        limit = Constraints(max_cost=Decimal(8))  # the first is booked with its prompt: 5
        heard = await node.hear(options=ONE_WORD, constraints=limit)
        assert heard.error is not None
        assert second.calls == []
