"""The real answering, and what it cannot do yet: tools that run, and turns that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.call import Call
from core.chat import ChatRequest
from core.ports.state import Transaction
from core.turns.events import ApprovalRequired, Started, Text
from core.turns.rows import Decision, EndReason, Turn, TurnFailure
from services.chat.answering import Answering
from services.turns.approvals import Wait
from services.turns.run import Paused, Run
from services.turns.settlement import DeploymentOf
from services.turns.writing import Writing
from simulation.plan import Question


@dataclass(frozen=True, slots=True)
class Intent:
    """The step before a tool is called: from then on, a tool may have run."""

    async def apply(self, _: Transaction, row: Turn, __: Writing, /) -> Turn:
        """See services.turns.run_log.Step."""
        return replace(row, done=True)


class SimulatedAnswering(Answering):
    """Asks the provider as the server does; before it, what a question says of tools."""

    questions: Sequence[Question] = ()
    deployment_of: DeploymentOf
    now: Callable[[], datetime]

    async def produce(  # type: ignore[override]  # a turn that waits has no reason yet
        self, call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
    ) -> EndReason | Paused:
        question = self.questions[number_in(request.message.text)]
        if question.tool:
            await run.log.perform(Intent())
        if question.approval is None:
            return await super().produce(call, request, run, previous)
        turn = run.turn
        await run.emit(Started(turn.id, turn.run, "v", "", turn.request_id, turn.conversation))
        expires = self.now() + timedelta(seconds=question.approval)
        required = ApprovalRequired(approval_of(turn), "call", "it costs something", expires)
        return await run.pause(Wait(required, run.transcript, self.deployment_of))


async def go_on(run: Run) -> EndReason:
    """How a turn goes on once it is decided."""
    assert run.turn.decision is not None
    await run.emit(Text(f"({run.turn.decision.value})"))
    if run.turn.decision is Decision.APPROVED:
        await asyncio.sleep(0.2)
        await run.emit(Text("done"))
    return EndReason.STOP


def approval_of(turn: Turn) -> str:
    """What a turn waits for."""
    return f"approval-{turn.id}"


def number_in(text: str) -> int:
    """The question that a message asks."""
    return int(text.split(maxsplit=1)[0].removeprefix("q"))
