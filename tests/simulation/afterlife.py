"""What comes long after the turns: ids are forgotten, logs compacted, and somebody still asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.plan import Ask, Resume

if TYPE_CHECKING:
    from simulation.world import World

_SOON_S = 0.1
_WHILE_IT_READS_S = 0.4
_MORE_S = 5.0


class Afterlife:
    """Moves the store's clock on, twice, and sends clients who come too late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._phase = 0

    def goes_on(self) -> bool:
        """Take the next step, where there is one."""
        world = self._world
        if not world.plan.setup.afterlife:
            return False
        self._phase += 1
        if self._phase == 1:
            self._jump(world.around.timings.id_retention)
            self._come_late()
        elif self._phase == 2:
            self._check_forgotten()
            self._read_slowly()
            world.expect_jump(_WHILE_IT_READS_S, lambda: self._jump(self._log_retention))
        elif self._phase == 3:
            world.expect_jump(3.0, lambda: None)
        elif self._phase == 4:
            for number in range(len(world.plan.questions)):
                world.expect(_SOON_S, 400 + number, Resume(0.0, 0, number))
        else:
            self._check_compacted()
            return False
        return True

    @property
    def _log_retention(self) -> float:
        return self._world.around.timings.log_retention

    def _jump(self, seconds: float) -> None:
        self._world.trace(f"{seconds:.0f} s go by")
        self._world.store.offset += seconds + _MORE_S

    def _come_late(self) -> None:
        for number in range(len(self._world.plan.questions)):
            replica = number % self._world.plan.setup.replicas
            resume = Resume(0.0, replica, number)
            self._world.expect(_SOON_S, 100 + number, resume)
            self._world.expect(3.5, 200 + number, Ask(0.0, replica, number))

    def _read_slowly(self) -> None:
        for number in range(len(self._world.plan.questions)):
            replica = number % self._world.plan.setup.replicas
            self._world.expect(_SOON_S, 300 + number, Resume(0.0, replica, number, pace=0.5))

    def _check_forgotten(self) -> None:
        """Every turn of before has lost its id by now."""
        keep = self._world.around.timings.id_retention
        now = self._world.store.now()
        if self._world.troubles.any_trouble_since(self._world.loop.time() - _MORE_S):
            return
        for turn in self._world.store.server.tables["turns"].values():
            old = turn.ended_at is not None and (now - turn.ended_at).total_seconds() > keep + 4
            if old and not turn.forgotten:
                self._world.report("old ids are forgotten", turn.id)

    def _check_compacted(self) -> None:
        """Every log of before is gone by now."""
        now = self._world.store.now()
        if self._world.troubles.any_trouble_since(self._world.loop.time() - _MORE_S):
            return
        for turn in self._world.store.server.tables["turns"].values():
            age = (now - turn.ended_at).total_seconds() if turn.ended_at is not None else 0.0
            if age > self._log_retention + 4 and turn.log_from < turn.next_seq:
                self._world.report("old logs are compacted", turn.id)
