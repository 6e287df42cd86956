"""How long things may take: every turn, every call, every reader's wait, all spending.

Each bound counts from what started it, or from the end of the last trouble of whoever has to act.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.turns.rows import Turn, TurnState
from simulation.provider import ProviderCall
from simulation.replica import Life
from simulation.store import NOON

if TYPE_CHECKING:
    from datetime import datetime

    from simulation.clients import Stream
    from simulation.world import World

_SWEEPS_S = 3 * 1.2
"""Two to be there in time, and one more to be in touch again after a trouble."""
_READER_ROW_S = 2.0
_STATEMENT_S = 2.0


class Bounds:
    """Looked at now and then, while a schedule runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        setup = world.plan.setup
        spikes = 3 * setup.spike if setup.spike_rate else 0.0
        self._slack = 0.8 + 20 * setup.latency + spikes
        lease = world.around.timings.lease
        self._out_of_touch = 4 * lease if setup.spike_rate else 0.0
        """Each slow answer may break the contact that a take-over needs for a whole lease."""

    def check(self) -> None:
        """Report whatever should have happened by now."""
        world = self._world
        now = world.loop.time()
        rows: list[Turn] = list(world.store.server.tables["turns"].values())
        healthy = [life for life in world.lives.values() if self._is_well(life)]
        for turn in rows:
            if turn.state is TurnState.RUNNING:
                self._turn(turn, now, healthy)
            elif turn.state is TurnState.WAITING:
                self._waiting(turn, now, healthy)
        for call in world.around.provider.calls:
            if call.told is None:
                self._call(call, now)
        for stream in world.streams:
            self._stream(stream, now)

    def _turn(self, turn: Turn, now: float, healthy: list[Life]) -> None:
        world = self._world
        timings = world.around.timings
        owner = self._life(turn.owner)
        if healthy:
            due = min(_at(turn.lease_until), _at(turn.deadline_at) + timings.hard)
            able = min(self._able_since(life) for life in healthy) + timings.lease
            late = now - max(due, able) - _SWEEPS_S - self._slack - self._out_of_touch
            if late > 0:
                what = f"{turn.id} of {turn.owner} is an orphan since {due:.2f}"
                self._world.report("what nobody ends is taken over in time", what)
        if owner is not None and self._is_well(owner) and not self._has_begun(turn):
            since = max(world.rows.changed_at[turn.id], self._able_since(owner))
            if min(now, _at(turn.deadline_at)) > since + 0.7 + self._slack and not turn.detach:
                world.report("what is claimed is run", f"{turn.id} at {owner.boot}")
        elif owner is not None and self._is_well(owner) and not self._is_wedged(turn):
            due = max(_at(turn.deadline_at), self._able_since(owner))
            if now > due + 1.0 + self._slack:
                self._world.report("every turn keeps its deadline", f"{turn.id} at {owner.boot}")

    def _waiting(self, turn: Turn, now: float, healthy: list[Life]) -> None:
        """A turn that waits: it goes on when it is decided, cancelled or waited for too long."""
        world = self._world
        changed = world.rows.changed_at[turn.id]
        due = max(_at(turn.wait_until), changed) if turn.wait_until is not None else now
        if turn.decision is not None or turn.cancel is not None:
            due = changed
        if healthy and world.plan.setup.turns_limit > 1:
            able = min(self._able_since(life) for life in healthy)
            if now - max(due, able) > _SWEEPS_S + self._slack:
                world.report("a waiting turn wakes", f"{turn.id}: {turn.decision}, {due:.2f}")

    def _is_wedged(self, turn: Turn) -> bool:
        number = int(turn.request_id.removeprefix("q"))
        return self._world.plan.questions[number].wedged

    def _has_begun(self, turn: Turn) -> bool:
        """Whether the run has a runner, as far as its log tells."""
        log = self._world.store.server.tables["events"].get(turn.id, ())
        return any(event.epoch == turn.epoch for event in log)

    def _call(self, call: ProviderCall, now: float) -> None:
        """A provider that goes on: is there still somebody who wants it?"""
        world = self._world
        owner = self._life(call.boot)
        turn: Turn | None = world.store.server.tables["turns"].get(call.turn)
        if owner is None or turn is None:
            return
        if not self._is_well(owner):
            self._call_without_store(call, owner, now)
            return
        timings = world.around.timings
        most = timings.renew + timings.provider_stop + self._slack
        for since, allowed in self._reasons_to_stop(call, turn):
            if now > max(since, self._able_since(owner)) + allowed + most:
                what = f"{turn.id} attempt {call.attempt} at {call.boot}, since {since:.2f}"
                world.report("spending stops in time", what)
                return

    def _call_without_store(self, call: ProviderCall, owner: Life, now: float) -> None:
        """While the store is away, a provider is paid for only as long as output is held back."""
        world = self._world
        away = [world.store.away_since.get(whose) for whose in ("", owner.boot)]
        since = max([call.began, *(time for time in away if time is not None)])
        since = max(since, world.troubles.last_of(owner.boot))
        if owner.actor.paused or owner.stopping or all(time is None for time in away):
            return
        hangs = 2 * _STATEMENT_S if world.store.hangs else 0.0
        most = world.around.timings.hold + hangs + 1.2 + self._slack
        if now > since + most:
            world.report("spending stops in time", f"{call.turn} with the store away")

    def _reasons_to_stop(self, call: ProviderCall, turn: Turn) -> Iterator[tuple[float, float]]:
        """Since when it should have stopped, and what is allowed beyond the usual."""
        world = self._world
        if (
            turn.epoch != call.epoch
            or turn.state is not TurnState.RUNNING
            or turn.cancel is not None
        ):
            yield world.rows.changed_at[turn.id], 0.0
        elif not turn.detach:
            left = self._unread_since(call.question, turn)
            if left is not None:
                timings = world.around.timings
                first = max(left, call.began)
                died = world.troubles.any_trouble_since(first - 0.5)
                extra = _READER_ROW_S if died else 0.0
                yield first, max(turn.linger, timings.linger) + extra

    def _unread_since(self, question: int, turn: Turn) -> float | None:
        """Since when nobody reads the turn, and nobody is about to; None while somebody does."""
        world = self._world
        if any(stream.question == question for stream in world.streams):
            return None
        return max(world.left_at.get(question, 0.0), _at(turn.created_at))

    def _stream(self, stream: Stream, now: float) -> None:
        """A reader at a replica that is well: it hears of its turn's end soon."""
        world = self._world
        life = stream.life
        turn: Turn | None = world.store.server.tables["turns"].get(stream.reading.turn)
        if turn is None or not turn.state.ended or turn.ended_at is None or stream.pace:
            return
        if not self._is_well(life) or stream.link.broken or not life.serving:
            return
        since = max(_at(turn.ended_at), self._able_since(life), stream.began)
        if now > since + 2 * world.around.timings.poll + self._slack + 0.5:
            world.report("a reader learns the end", f"{turn.id} at {life.boot} since {since:.2f}")

    def _is_well(self, life: Life) -> bool:
        return (
            life.alive
            and life.serving
            and not life.stopping
            and not life.actor.paused
            and self._world.troubles.quiet_for(life.boot) > 0
        )

    def _able_since(self, life: Life) -> float:
        """Since when nothing kept it from its work."""
        return max(life.since, self._world.troubles.last(life.boot))

    def _life(self, boot: str) -> Life | None:
        return next((life for life in self._world.lives.values() if life.boot == boot), None)


def _at(time: datetime) -> float:
    """The time on the loop's clock."""
    return (time - NOON).total_seconds()
