"""AdminService: translation, and nothing else."""

from __future__ import annotations

from adapters.grpc import (
    budget_messages,
    chat_requests,
    errors,
    names,
    spending_messages,
    values,
)
from adapters.grpc.turn_messages import STATES
from adapters.grpc.violations import each_of, known, together
from colonnade.v1 import admin_pb2, budgets_pb2, spending_pb2
from core.call import Call
from core.errors import InvalidInput
from core.pages import PageRequest
from core.turns.rows import Attempt, LedgerLine, TurnState
from services.budget_operations import BudgetOperations
from services.configuration import Configuration
from services.spending_report import SpendingReport
from services.turn_operations import TurnDetails, TurnOperations, TurnRow

_STATES_BACK = {number: state for state, number in STATES.items()}


class AdminServicer:
    """One function a method of the contract."""

    def __init__(
        self,
        turns: TurnOperations,
        configuration: Configuration,
        budgets: BudgetOperations,
        spending: SpendingReport,
    ) -> None:
        self._turns = turns
        self._budgets = budgets
        self._spending = spending
        self._configuration = configuration

    async def ListTurns(
        self, request: admin_pb2.ListTurnsRequest, call: Call
    ) -> admin_pb2.ListTurnsResponse:
        """A page of turns."""
        together(
            lambda: _states(request), lambda: PageRequest.of(request.page_size, request.page_token)
        )
        page = await self._turns.list(
            call,
            _states(request),
            PageRequest.of(request.page_size, request.page_token),
            all_tenants=request.all_tenants,
        )
        return admin_pb2.ListTurnsResponse(
            turns=[_row(item) for item in page.items], next_page_token=page.next_token
        )

    async def GetTurnStatus(
        self, request: admin_pb2.GetTurnStatusRequest, call: Call
    ) -> admin_pb2.TurnStatus:
        """One turn, with its attempts and readers."""
        return _details(await self._turns.details(call, chat_requests.turn_id(request.turn_id)))

    async def CancelTurn(
        self, request: admin_pb2.CancelTurnRequest, call: Call
    ) -> admin_pb2.TurnStatus:
        """Stop one turn."""
        return _details(await self._turns.cancel(call, chat_requests.turn_id(request.turn_id)))

    async def ListBudgets(
        self, request: budgets_pb2.ListBudgetsRequest, call: Call
    ) -> budgets_pb2.ListBudgetsResponse:
        """A page of budgets."""
        page = await self._budgets.list(
            call,
            request.rule,
            PageRequest.of(request.page_size, request.page_token),
            all_tenants=request.all_tenants,
        )
        return budgets_pb2.ListBudgetsResponse(
            budgets=map(budget_messages.budget, page.items), next_page_token=page.next_token
        )

    async def GetBudget(
        self, request: budgets_pb2.GetBudgetRequest, call: Call
    ) -> budgets_pb2.Budget:
        """One budget, with who holds it and what was told."""
        id = _budget_id(request.budget_id)
        return budget_messages.budget_in_full(await self._budgets.details(call, id))

    async def GetSpending(
        self, request: spending_pb2.GetSpendingRequest, call: Call
    ) -> spending_pb2.GetSpendingResponse:
        """What was booked in a time."""
        found = await self._spending.by(
            call,
            spending_messages.subject(request),
            spending_messages.time(request, "start_time"),
            spending_messages.time(request, "end_time"),
            all_tenants=request.all_tenants,
        )
        return spending_pb2.GetSpendingResponse(spending=map(spending_messages.spending, found))

    async def ReloadConfig(
        self, request: admin_pb2.ReloadConfigRequest, call: Call
    ) -> admin_pb2.ReloadConfigResponse:
        """Read the settings again."""
        del request, call
        done = await self._configuration.reload()
        return admin_pb2.ReloadConfigResponse(applied_keys=done.applied, restart_keys=done.restart)


def _budget_id(text: str) -> str:
    if not text:
        raise InvalidInput.at("budget_id", "must name a budget, as ListBudgets does")
    return text


def _states(request: admin_pb2.ListTurnsRequest) -> frozenset[TurnState]:
    return frozenset(
        each_of(lambda state, field: known(_STATES_BACK, state, field), request.states, "states")
    )


def _row(row: TurnRow) -> admin_pb2.TurnStatus:
    turn = row.turn
    return admin_pb2.TurnStatus(
        turn_id=turn.id,
        tenant=turn.tenant,
        user=turn.user,
        request_id=turn.request_id,
        conversation=names.conversation_name(turn.conversation),
        state=STATES[turn.state],
        run=turn.run,
        epoch=turn.epoch,
        owner=turn.owner,
        lease_left=values.duration(row.lease_left),
        next_sequence=turn.next_seq,
        released=turn.released,
        tool_ran=turn.done,
        cancel=values.finish_reason(turn.cancel),
        detached=turn.detach,
        finish_reason=values.finish_reason(turn.reason),
        error=errors.rich_failure(turn.error) if turn.error else None,
        rerunnable=turn.rerunnable,
        create_time=values.timestamp(turn.created_at),
        deadline=values.timestamp(turn.deadline_at),
        end_time=values.timestamp(turn.ended_at),
    )


def _details(details: TurnDetails) -> admin_pb2.TurnStatus:
    message = _row(details.row)
    for attempt in details.attempts:
        message.attempts.append(_attempt(attempt, details.lines.get(attempt.number)))
    for reader in details.readers:
        left = values.duration((reader.expires_at - details.now).total_seconds())
        message.readers.add(replica=reader.boot, left=left)
    return message


def _attempt(attempt: Attempt, line: LedgerLine | None) -> admin_pb2.TurnAttempt:
    """The attempt, with what the ledger says of it where it has a line."""
    tokens = line.usage if line else attempt.used
    estimated = line is not None and line.estimated
    return admin_pb2.TurnAttempt(
        attempt=attempt.number,
        run=attempt.run,
        model=attempt.deployment,
        prompt_tokens_bound=attempt.prompt_tokens,
        usage=None if tokens is None else values.usage(tokens, estimated=estimated),
        cost=values.money(line.cost, line.currency) if line else None,
        booked=attempt.booked,
        error=attempt.error,
        begin_time=values.timestamp(attempt.began_at),
    )
