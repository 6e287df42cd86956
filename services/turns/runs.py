"""The runs of this process: started, found, told, stopped, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from core.identifiers import MessageId, TurnId
from core.ports.bus import Notice, OwnerWanted
from core.ports.model_gateway import SpendingUnit
from core.turns.rows import EndReason, Turn
from services.turns.admission import Admission
from services.turns.replica import Replica
from services.turns.run import Ending, Paused, Run, Start
from services.turns.run_log import Step
from services.turns.settlement import DeploymentOf, Settlement
from services.turns.timings import TurnTimings
from services.turns.writer import TurnWriter

Producer = Callable[[Run], Coroutine[Any, Any, EndReason | Paused]]
"""What a run does: emit events until the answer has ended, or waits for somebody."""


class Runs:
    """Every run here. Each is a task that no call owns, and holds a place of its admission."""

    def __init__(
        self,
        writer: TurnWriter,
        admission: Admission,
        replica: Replica,
        deployment_of: DeploymentOf,
        timings: TurnTimings,
    ) -> None:
        self._writer = writer
        self._admission = admission
        self._replica = replica
        self._deployment_of = deployment_of
        self._timings = timings
        self._runs: dict[TurnId, Run] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._interrupting = False

    def __contains__(self, turn: TurnId) -> bool:
        return turn in self._runs

    def __iter__(self) -> Iterator[TurnId]:
        return iter(tuple(self._runs))

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, turn: TurnId) -> Run | None:
        """The run of this turn here, if there is one."""
        return self._runs.get(turn)

    def start(self, start: Start, produce: Producer) -> None:
        """Begin a run, whose place has been taken."""
        run = Run(start, self._writer.mark, self._replica, self._timings)
        if self._interrupting:
            run.stop(EndReason.INTERRUPTED)
        self._runs[run.turn.id] = run
        self._writer.watch(run.log)
        supervised = run.supervise(produce, self._settlement)
        task = asyncio.get_running_loop().create_task(supervised, name=f"run-{run.turn.id}")
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._ended(run, done))

    async def hold(self, unit: SpendingUnit) -> None:
        """Renew the lease of the run that is about to spend, if it has run out. Raises Lost."""
        run = self._runs.get(TurnId(unit.id))
        if run is not None and run.log.fence.epoch == unit.epoch:
            await run.hold_lease()

    def ride(self, unit: SpendingUnit, step: Step, is_next: bool) -> asyncio.Future[Turn] | None:
        """Have a step of this unit's run committed with what it writes next; None: it has none.

        Where it `is_next`, at once, and before anything that is asked for later.
        """
        run = self._runs.get(TurnId(unit.id))
        if run is None or run.log.fence.epoch != unit.epoch or run.tail.closed:
            return None
        return run.log.ask(step, urgent=is_next, is_last=is_next)

    def heard(self, notice: Notice) -> None:
        """Another replica has changed the row of a turn that runs here, or so it thinks."""
        run = self._runs.get(notice.turn) if isinstance(notice, OwnerWanted) else None
        if run is not None:
            run.log.look()

    def lose(self, taken: Turn) -> None:
        """The turn, as it was before, has been taken over: its run here has nothing more to say."""
        run = self._runs.get(taken.id)
        if run is not None and run.log.fence.epoch == taken.epoch:
            run.log.stale()

    def interrupt(self) -> None:
        """Stop every run, also those that begin from now on."""
        self._interrupting = True
        for run in self._runs.values():
            run.stop(EndReason.INTERRUPTED)

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._writer.forget(run.log)
        self._admission.give_back(run.turn.tenant)
        if self._runs.get(run.turn.id) is run:  # else the next run of the turn is there already
            del self._runs[run.turn.id]

    def _settlement(self, run: Run, ending: Ending) -> Settlement:
        return Settlement(
            reason=ending.reason,
            failure=ending.failure,
            transcript=run.transcript,
            answer_id=MessageId(self._replica.new_id("msg")),
            deployment_of=self._deployment_of,
            latencies=run.latencies,
            first_event=run.first_event,
        )
