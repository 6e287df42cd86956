"""Operators' calls with either client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from clients.either_client import Either, open_server
from colonnade.client import NotFound
from colonnade.v1 import admin_pb2, admin_pb2_grpc, budgets_pb2, spending_pb2
from colonnade.v1.spending_pb2 import SPENDING_SUBJECT_KEY
from colonnade.v1.turns_pb2 import TURN_STATE_FAILED

Context = grpc.aio.ServicerContext[Any, Any]


class Operations(admin_pb2_grpc.AdminServiceServicer):
    """Knows five turns, and tells them two a page."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def ListTurns(
        self, request: admin_pb2.ListTurnsRequest, context: Context
    ) -> admin_pb2.ListTurnsResponse:
        self.asked.append((list(request.states), request.all_tenants))
        begin = int(request.page_token or 0)
        turns = [admin_pb2.TurnStatus(turn_id=f"t{number}") for number in range(5)]
        return admin_pb2.ListTurnsResponse(
            turns=turns[begin : begin + 2],
            next_page_token=str(begin + 2) if begin + 2 < len(turns) else "",
        )

    async def GetTurnStatus(
        self, request: admin_pb2.GetTurnStatusRequest, context: Context
    ) -> admin_pb2.TurnStatus:
        if request.turn_id != "t1":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such turn")
        return admin_pb2.TurnStatus(turn_id=request.turn_id)

    async def CancelTurn(
        self, request: admin_pb2.CancelTurnRequest, context: Context
    ) -> admin_pb2.TurnStatus:
        self.asked.append(request.turn_id)
        return admin_pb2.TurnStatus(turn_id=request.turn_id)

    async def ReloadConfig(
        self, request: admin_pb2.ReloadConfigRequest, context: Context
    ) -> admin_pb2.ReloadConfigResponse:
        return admin_pb2.ReloadConfigResponse(applied_keys=["routing.default"])

    async def ListBudgets(
        self, request: budgets_pb2.ListBudgetsRequest, context: Context
    ) -> budgets_pb2.ListBudgetsResponse:
        self.asked.append((request.rule, request.all_tenants))
        begin = int(request.page_token or 0)
        return budgets_pb2.ListBudgetsResponse(
            budgets=[budgets_pb2.Budget(budget_id=f"b{begin}")],
            next_page_token="1" if begin == 0 else "",
        )

    async def GetBudget(
        self, request: budgets_pb2.GetBudgetRequest, context: Context
    ) -> budgets_pb2.Budget:
        return budgets_pb2.Budget(budget_id=request.budget_id)

    async def GetSpending(
        self, request: spending_pb2.GetSpendingRequest, context: Context
    ) -> spending_pb2.GetSpendingResponse:
        self.asked.append((request.by, request.start_time.seconds, request.HasField("end_time")))
        return spending_pb2.GetSpendingResponse(spending=[spending_pb2.Spending(value="k1")])


@pytest.fixture
def operations() -> Operations:
    return Operations()


@pytest.fixture(params=["blocking", "asyncio"])
async def either(request: pytest.FixtureRequest, operations: Operations) -> AsyncIterator[Either]:
    server, address = await open_server(
        lambda server: admin_pb2_grpc.add_AdminServiceServicer_to_server(operations, server)
    )
    yield Either(request.param, address)
    await server.stop(None)


async def test_all_pages_of_turns(either: Either, operations: Operations) -> None:
    turns = await either(lambda c: c.admin.turns([TURN_STATE_FAILED], all_tenants=True))
    assert [turn.turn_id for turn in turns] == ["t0", "t1", "t2", "t3", "t4"]
    assert operations.asked == [([TURN_STATE_FAILED], True)] * 3


async def test_a_turn_and_one_that_is_not_there(either: Either) -> None:
    assert (await either(lambda c: c.admin.turn("t1"))).turn_id == "t1"
    with pytest.raises(NotFound):
        await either(lambda c: c.admin.turn("t9"))


async def test_a_cancel(either: Either, operations: Operations) -> None:
    assert (await either(lambda c: c.admin.cancel("t1"))).turn_id == "t1"
    assert operations.asked == ["t1"]


async def test_a_reload(either: Either) -> None:
    assert list((await either(lambda c: c.admin.reload())).applied_keys) == ["routing.default"]


async def test_budgets(either: Either, operations: Operations) -> None:
    found = await either(lambda c: c.admin.budgets("daily", all_tenants=True))
    assert [budget.budget_id for budget in found] == ["b0", "b1"]
    assert operations.asked == [("daily", True)] * 2
    assert (await either(lambda c: c.admin.budget("b9"))).budget_id == "b9"


async def test_spending(either: Either, operations: Operations) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    found = await either(lambda c: c.admin.spending(SPENDING_SUBJECT_KEY, start=start))
    assert [spent.value for spent in found] == ["k1"]
    assert operations.asked == [(SPENDING_SUBJECT_KEY, int(start.timestamp()), False)]
