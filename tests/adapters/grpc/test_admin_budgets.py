"""Budgets over real gRPC: spent by calls, refused by name, shown to operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from colonnade.v1 import budgets_pb2, models_pb2, spending_pb2
from fakes.language_model import script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, served_node, user
from fakes.turn_node import a_model

BUDGETS = {
    "all": {"limit": "9000", "period": "day"},
    "mine": {
        "limit": "12",
        "tenant": "acme",
        "each": ["user"],
        "thresholds": [0.5, 0.8, 1.1],
    },
}
"""A token costs 1. A prompt of one word and one token of output cost a few."""
ANN = "mine?user=ann"


@pytest.fixture
async def node() -> AsyncIterator[ServedNode]:
    async with served_node(a_model(script("a"), price="1000000"), budgets=BUDGETS) as served:
        yield served


def generate(node: ServedNode, key: Any = None) -> Any:
    options = models_pb2.GenerationOptions(max_output_tokens=1)
    request = models_pb2.GenerateRequest(messages=[user("Hi")], options=options)
    return node.stubs.models.Generate(request, metadata=key or node.key())


def listed(node: ServedNode, key: Any = None, **fields: Any) -> Any:
    request = budgets_pb2.ListBudgetsRequest(**fields)
    return node.stubs.admin.ListBudgets(request, metadata=key or node.key())


def shown(node: ServedNode, budget: str, key: Any = None) -> Any:
    request = budgets_pb2.GetBudgetRequest(budget_id=budget)
    return node.stubs.admin.GetBudget(request, metadata=key or node.key())


async def report(node: ServedNode) -> None:
    accounts = await node.container.budget_accounts.async_()
    await accounts.close()


async def test_a_spent_budget_is_refused_by_name_and_shown_with_what_was_told(
    node: ServedNode,
) -> None:
    cost = int((await generate(node)).cost.amount)
    for _ in range(12 // cost - 1):
        await generate(node)
    told = await refused(generate(node))
    assert (told.code, told.reason) == (StatusCode.RESOURCE_EXHAUSTED, "BUDGET_SPENT")
    assert told.metadata["budget"] == "mine"
    assert told.metadata["window"] == "month"
    assert (told.metadata["amount"], told.metadata["currency"]) == ("12", "USD")
    assert told.metadata["opens_at"].endswith("-01T00:00:00+00:00")
    assert told.retry_after is not None
    await report(node)
    one = await shown(node, ANN)
    assert (one.rule, one.tenant, one.window, one.hard) == ("mine", "acme", "month", True)
    assert dict(one.subjects) == {"user": "ann"}
    assert (one.limit.amount, one.held.amount) == ("12", "0")
    assert int(one.spent.amount) == 12 // cost * cost
    assert one.HasField("next_release_time")
    assert [alert.threshold for alert in one.alerts] == ["0.8", "0.5"]
    lines = node.lines("budget")
    assert [(line["budget"], line["threshold"]) for line in lines] == [(ANN, "0.5"), (ANN, "0.8")]


async def test_what_runs_is_held_by_a_process(node: ServedNode) -> None:
    await generate(node)
    one = await shown(node, ANN)
    (lease,) = one.leases
    assert lease.holder.startswith("boot_")
    assert 0 < lease.left.seconds <= 30
    assert one.held == lease.amount


async def test_each_tenant_sees_its_own(node: ServedNode) -> None:
    await generate(node)
    assert [one.budget_id for one in (await listed(node, node.key("bob"))).budgets] == [ANN]
    rival = node.key(tenant="rival")
    assert list((await listed(node, rival)).budgets) == []
    foreign, never = await refused(shown(node, ANN, rival)), await refused(shown(node, "x", rival))
    assert foreign.code == never.code == StatusCode.NOT_FOUND
    assert foreign.message.replace(ANN, "x") == never.message
    assert (await refused(shown(node, "all"))).code == StatusCode.NOT_FOUND
    assert (await refused(shown(node, ""))).fields == ["budget_id"]


async def test_those_of_all_tenants_need_a_scope_by_name(node: ServedNode) -> None:
    await generate(node)
    told = await refused(listed(node, all_tenants=True))
    assert told.metadata["scope"] == "admin.every-tenant"
    operator = await node.add_key("ck_operator", "admin.read", "admin.every-tenant")
    everything = await listed(node, operator, all_tenants=True)
    assert [one.budget_id for one in everything.budgets] == ["all", ANN]
    assert (await shown(node, "all", operator)).tenant == ""
    page = await listed(node, operator, all_tenants=True, page_size=1)
    rest = await listed(node, operator, all_tenants=True, page_token=page.next_page_token)
    assert [one.budget_id for one in (*page.budgets, *rest.budgets)] == ["all", ANN]
    only = await listed(node, operator, all_tenants=True, rule="mine")
    assert [one.budget_id for one in only.budgets] == [ANN]


async def spending(node: ServedNode, key: Any = None, **fields: Any) -> Any:
    request = spending_pb2.GetSpendingRequest(**fields)
    return await node.stubs.admin.GetSpending(request, metadata=key or node.key())


async def test_what_was_spent_is_told_apart_by_key_and_user(node: ServedNode) -> None:
    cost = int((await generate(node)).cost.amount)
    await generate(node)
    await generate(node, node.key("bob"))
    users = (await spending(node, by=spending_pb2.SPENDING_SUBJECT_USER)).spending
    assert [(one.value, one.cost.amount, one.calls) for one in users] == [
        ("ann", str(2 * cost), 2),
        ("bob", str(cost), 1),
    ]
    keys = (await spending(node, by=spending_pb2.SPENDING_SUBJECT_KEY)).spending
    assert [one.calls for one in keys] == [2, 1]
    assert all(one.value for one in keys)
    (tenant,) = (await spending(node)).spending
    assert (tenant.tenant, tenant.value, tenant.cost.amount) == ("acme", "acme", str(3 * cost))
    assert list((await spending(node, node.key(tenant="rival"))).spending) == []


async def test_a_time_that_is_none_is_refused_by_name(node: ServedNode) -> None:
    early, late = Timestamp(seconds=1_000), Timestamp(seconds=2_000)
    assert list((await spending(node, start_time=early, end_time=late)).spending) == []
    for wrong, field in (
        ({"start_time": late, "end_time": early}, "end_time"),
        ({"start_time": Timestamp(seconds=10**15)}, "start_time"),
        ({"by": 99}, "by"),
    ):
        assert (await refused(spending(node, **wrong))).fields == [field]
    told = await refused(spending(node, all_tenants=True))
    assert told.metadata["scope"] == "admin.every-tenant"
