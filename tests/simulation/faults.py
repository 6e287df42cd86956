"""What goes wrong, when the plan says so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simulation.plan import (
    Away,
    CutBus,
    DropClients,
    Fault,
    Full,
    Kill,
    OnCommit,
    Pause,
    ShutDown,
    Slow,
)
from simulation.replica import Life
from simulation.store import CommitFault
from simulation.store_server import IDLE_S, STATEMENT_S, Unit
from simulation.trouble import EVERYONE

if TYPE_CHECKING:
    from simulation.world import World

_RETRY_S = 0.4
"""What failed is tried again so soon, and not all at once."""


@dataclass(slots=True)
class _Armed:
    step: OnCommit
    left: int


class Faults:
    """Carries out the faults of a plan. `pending`: some are still to come, or not over yet."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._open = 0
        self._at_steps: dict[int, list[Kill | Pause]] = {}
        self._armed: list[_Armed] = []
        self._away_for: dict[str, int] = {}
        world.store.fault_for = self._fault_for
        world.store.on_fault = self._note
        world.store.after_commit = self._after_commit
        self._strike: OnCommit | None = None

    @property
    def pending(self) -> bool:
        """Whether a fault with a time is still to come, or to be over."""
        return self._open > 0

    def plan(self, fault: Fault) -> None:
        """Take one fault of the plan."""
        if isinstance(fault, OnCommit):
            self._armed.append(_Armed(fault, fault.nth))
        elif isinstance(fault, Kill | Pause) and fault.step is not None:
            self._at_steps.setdefault(fault.replica, []).append(fault)
            life = self._world.lives.get(fault.replica)
            if life is not None:
                self.born(life, 1)
        else:
            self._open += 1
            self._world.later(fault.at, self._begin, fault)

    def born(self, life: Life, number: int) -> None:
        """A life begins: the first one has the alarms of faults at steps."""
        if number > 1:
            return
        for fault in self._at_steps.pop(life.number, ()):
            assert fault.step is not None
            life.actor.alarms.append((fault.step, partial(self._at_step, life, fault)))
        life.actor.alarms.sort(key=lambda alarm: alarm[0])

    def _at_step(self, life: Life, fault: Kill | Pause) -> None:
        if life.alive:
            self._strike_life(life, fault)

    def _begin(self, fault: Fault) -> None:
        self._open -= 1
        world = self._world
        world.trace(f"FAULT {fault}")
        if isinstance(fault, Full | Slow | Away | CutBus):
            self._begin_for_all(fault)
            return
        life = None if isinstance(fault, OnCommit) else world.lives.get(fault.replica)
        if life is None:
            return
        if isinstance(fault, Kill | Pause):
            self._strike_life(life, fault)
        elif isinstance(fault, DropClients):
            for link in list(life.links):
                link.break_off()
                link.leave_server()
        elif isinstance(fault, ShutDown) and not life.stopping:
            life.stopping = True
            world.loop.create_task(self._shut_down(life, fault), context=life.actor.context)

    def _begin_for_all(self, fault: Full | Slow | Away | CutBus) -> None:
        """Something happens to the store or the bus, for a while."""
        world = self._world
        if isinstance(fault, Full):
            world.troubles.note(EVERYONE, fault.seconds)
            world.store.full = True
            self._later(fault.seconds, self._not_full)
        elif isinstance(fault, Slow):
            world.troubles.note(EVERYONE, fault.seconds + fault.by)
            world.store.slow = fault.by
            self._later(fault.seconds, self._not_slow)
        elif isinstance(fault, Away):
            self._away(fault)
        else:
            self._cut(fault)

    def _strike_life(self, life: Life, fault: Kill | Pause) -> None:
        if isinstance(fault, Kill):
            self._kill(life, fault.back_after)
        else:
            self._pause(life, fault.seconds)

    def _kill(self, life: Life, back_after: float | None) -> None:
        world = self._world
        world.trace(f"{life.boot} is killed at step {life.actor.steps}")
        world.loop.kill(life.actor)
        world.troubles.note(life.boot, back_after or 0.0)
        world.gone(life, back_after)

    def _pause(self, life: Life, seconds: float) -> None:
        world = self._world
        if life.actor.paused or not life.alive:
            return
        world.trace(f"{life.boot} stands still at step {life.actor.steps} for {seconds} s")
        world.troubles.note_silence(life.boot, seconds)
        if world.store.server.is_at_work_for(life.boot):
            world.troubles.note(EVERYONE, min(seconds, IDLE_S + STATEMENT_S))
        world.loop.pause(life.actor)
        self._later(seconds, self._wake, life)

    def _wake(self, life: Life) -> None:
        if life.alive:
            self._world.trace(f"{life.boot} goes on")
        self._world.loop.go_on(life.actor)

    async def _shut_down(self, life: Life, fault: ShutDown) -> None:
        world = self._world
        world.troubles.note(life.boot, fault.patience + 6.0)
        await life.turns.drain(fault.patience)  # type: ignore[arg-type]
        life.serving = False
        await life.turns.close()
        world.trace(f"{life.boot} has ended")
        world.loop.kill(life.actor)
        world.gone(life, fault.back_after)

    def _away(self, fault: Away) -> None:
        world, whose = self._world, EVERYONE
        if fault.replica is not None:
            life = world.lives.get(fault.replica)
            if life is None:
                return
            whose = life.boot
        world.troubles.note_silence(whose, fault.seconds)
        world.troubles.note(whose, fault.seconds + (STATEMENT_S if fault.hangs else 0.0))
        world.store.hangs = fault.hangs
        world.store.away.add(whose)
        world.store.away_since.setdefault(whose, world.loop.time())
        self._away_for[whose] = self._away_for.get(whose, 0) + 1
        world.store.server.disconnect(whose or None)
        self._later(fault.seconds, self._back, whose)

    def _back(self, whose: str) -> None:
        self._away_for[whose] -= 1
        if not self._away_for[whose]:
            self._world.store.away.discard(whose)
            self._world.store.away_since.pop(whose, None)
            if self._world.store.hangs:  # also where it was another outage that made it so
                self._world.troubles.note(whose, STATEMENT_S)
            self._world.trace(f"the store is back {whose}")

    def _not_full(self) -> None:
        self._world.store.full = False

    def _not_slow(self) -> None:
        self._world.store.slow = 0.0

    def _cut(self, fault: CutBus) -> None:
        life = self._world.lives.get(fault.replica)
        if life is not None:
            self._world.around.exchange.cut.add(life.boot)
            self._later(fault.seconds, self._world.around.exchange.heal, life.boot)

    def _later(self, seconds: float, do: object, *args: object) -> None:
        self._open += 1

        def over() -> None:
            self._open -= 1
            do(*args)  # type: ignore[operator]

        self._world.later(seconds, over)

    def _fault_for(self, unit: Unit) -> CommitFault | None:
        """How this commit fails: as a step of the plan says, or by chance."""
        self._strike = None
        for armed in self._armed:
            step = armed.step
            if step.table not in unit.own or not _is_by(unit, step.replica):
                continue
            armed.left -= 1
            if armed.left:
                continue
            self._armed.remove(armed)
            self._world.trace(f"FAULT {step} at {unit.boot}")
            self._strike = step
            return step.fault
        rate = self._world.plan.setup.fault_rate
        if rate and self._world.chance() < rate:
            fault = self._world.one_of(list(CommitFault))
            self._world.trace(f"FAULT {fault} by chance at {unit.boot}")
            return fault
        return None

    def _note(self, unit: Unit, fault: CommitFault, seconds: float) -> None:
        """Whom it keeps from work: a commit that comes late holds what others wait for."""
        whose = EVERYONE if fault is CommitFault.LATE else unit.boot
        self._world.troubles.note(whose, seconds + _RETRY_S)

    def _after_commit(self, unit: Unit) -> None:
        """The replica may die or stand still before it hears that its commit went well."""
        step, self._strike = self._strike, None
        if step is None:
            return
        life = next((e for e in self._world.lives.values() if e.boot == unit.boot), None)
        if life is None:
            return
        if step.kills:
            self._kill(life, step.back_after)
        elif step.pauses:
            self._pause(life, step.pauses)


def _is_by(unit: Unit, replica: int | None) -> bool:
    return replica is None or unit.boot.startswith(f"r{replica}.")
