"""The end of a schedule: when it is over, and what must hold then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.afterlife import Afterlife
from simulation.bounds import Bounds

if TYPE_CHECKING:
    from simulation.world import World

_TICK = 0.25
_AFTERWARDS_S = 1.0
_SWEEPS_S = 3 * 1.2
_SLACK_S = 2.5
_MOST_STEPS = 100_000
"""Two hundred times as many as a schedule needs: whoever takes more, turns in a circle."""


class Verdict:
    """Looks at the world now and then, and judges it when nothing more will happen."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bounds = Bounds(world)
        self._afterlife = Afterlife(world)
        self._calm_since: float | None = None
        self._clients_gone: float | None = None

    def tick(self) -> None:
        """Look whether all is over."""
        world = self._world
        now = world.loop.time()
        self._bounds.check()
        if world.loop.steps > _MOST_STEPS:
            world.report("every schedule ends", f"{world.loop.steps} steps, and no end")
            return
        if not world.lives and not world.busy:
            world.start(0)  # somebody comes and restarts it
        if world.busy:
            self._clients_gone = None
        elif self._clients_gone is None:
            self._clients_gone = now
        if self._clients_gone is not None and self._all_ended():
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since >= _AFTERWARDS_S:
                if not self._afterlife.goes_on():
                    self._judge()
                    return
                self._calm_since = None
        else:
            self._calm_since = None
            self._check_bounds(now)
        world.later(_TICK, self.tick)

    def _all_ended(self) -> bool:
        world = self._world
        rows = world.store.server.tables["turns"].values()
        settled = all(row.state.ended for row in rows)
        stopped = all(call.ended is not None for call in world.around.provider.calls)
        return settled and stopped and not world.left_over()

    def _check_bounds(self, now: float) -> None:
        """Every turn ends within its bounds, counted from the last fault and the last client."""
        if self._clients_gone is None:
            return
        world = self._world
        timings = world.around.timings
        since = max(self._clients_gone, world.troubles.last_of_all())
        longest = timings.turn_maximum + timings.hard + timings.lease + _SWEEPS_S + _SLACK_S
        if now - since > longest:
            open_turns = [
                f"{row.id} {row.state.value} of {row.owner}"
                for row in world.store.server.tables["turns"].values()
                if not row.state.ended
            ]
            running = [f"q{c.question}" for c in world.around.provider.calls if c.ended is None]
            if open_turns or running:
                world.report("every turn ends", f"{open_turns}; the provider goes on: {running}")
            else:
                world.report("nothing is left behind", f"{world.left_over()}")

    def _judge(self) -> None:
        world = self._world
        world.calls.all_are_booked()
        world.loop.finish()
