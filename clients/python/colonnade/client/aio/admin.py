"""What operators do, for the asyncio client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from colonnade.client.aio.calls import AsyncCalls
from colonnade.client.paging import PAGE_SIZE
from colonnade.client.timing import CALL_TIMEOUT
from colonnade.v1.admin_pb2 import (
    CancelTurnRequest,
    GetTurnStatusRequest,
    ListTurnsRequest,
    ReloadConfigRequest,
    ReloadConfigResponse,
    TurnStatus,
)
from colonnade.v1.budgets_pb2 import Budget, GetBudgetRequest, ListBudgetsRequest
from colonnade.v1.spending_pb2 import (
    SPENDING_SUBJECT_TENANT,
    GetSpendingRequest,
    Spending,
    SpendingSubject,
)
from colonnade.v1.turns_pb2 import TurnState

if TYPE_CHECKING:
    from colonnade.v1.admin_pb2_grpc import AdminServiceAsyncStub


class AsyncAdmin:
    """`client.admin`. The key needs `admin.read`, `admin.write` to cancel, and
    `admin.config` to reload.

    `timeout` is in seconds, for each call; lists make one call a page. All raise ColonnadeError.
    """

    def __init__(self, calls: AsyncCalls, stub: AdminServiceAsyncStub) -> None:
        self._calls = calls
        self._stub = stub

    def turns(
        self,
        states: Sequence[TurnState.ValueType] = (),
        *,
        all_tenants: bool = False,
        timeout: float = CALL_TIMEOUT,
    ) -> AsyncIterator[TurnStatus]:
        """Turns in these states, by default those under way, the newest first."""
        return self._calls.paged(
            self._stub.ListTurns,
            ListTurnsRequest(states=states, all_tenants=all_tenants, page_size=PAGE_SIZE),
            lambda page: page.turns,
            timeout,
        )

    async def turn(self, turn_id: str, *, timeout: float = CALL_TIMEOUT) -> TurnStatus:
        """A turn's row, with its attempts and its readers."""
        request = GetTurnStatusRequest(turn_id=turn_id)
        return await self._calls.unary(self._stub.GetTurnStatus, request, timeout)

    async def cancel(self, turn_id: str, *, timeout: float = CALL_TIMEOUT) -> TurnStatus:
        """Stop a turn, whoever asked for it."""
        request = CancelTurnRequest(turn_id=turn_id)
        return await self._calls.unary(self._stub.CancelTurn, request, timeout)

    def budgets(
        self, rule: str = "", *, all_tenants: bool = False, timeout: float = CALL_TIMEOUT
    ) -> AsyncIterator[Budget]:
        """Budgets of this name in the settings, by default all, in order of id."""
        return self._calls.paged(
            self._stub.ListBudgets,
            ListBudgetsRequest(rule=rule, all_tenants=all_tenants, page_size=PAGE_SIZE),
            lambda page: page.budgets,
            timeout,
        )

    async def budget(self, budget_id: str, *, timeout: float = CALL_TIMEOUT) -> Budget:
        """A budget, with what processes hold of it and which alerts were given."""
        request = GetBudgetRequest(budget_id=budget_id)
        return await self._calls.unary(self._stub.GetBudget, request, timeout)

    async def spending(
        self,
        by: SpendingSubject.ValueType = SPENDING_SUBJECT_TENANT,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        all_tenants: bool = False,
        timeout: float = CALL_TIMEOUT,
    ) -> Sequence[Spending]:
        """What was booked, by default in this month, the dearest first. Times are aware."""
        request = GetSpendingRequest(by=by, all_tenants=all_tenants)
        if start is not None:
            request.start_time.FromDatetime(start)
        if end is not None:
            request.end_time.FromDatetime(end)
        found = await self._calls.unary(self._stub.GetSpending, request, timeout)
        return found.spending

    async def reload(self, *, timeout: float = CALL_TIMEOUT) -> ReloadConfigResponse:
        """Have the server, and those that it can tell, read their settings again."""
        return await self._calls.unary(self._stub.ReloadConfig, ReloadConfigRequest(), timeout)
