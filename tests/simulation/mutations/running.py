"""Rules of the runner: fences, numbers, the lease, the tail, stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import core.turns.fencing
import core.turns.leases
import core.turns.stopping
from core.turns.fencing import Fence, Standing
from core.turns.rows import LoggedEvent, Turn, TurnState
from services.turns.committing import Commits
from services.turns.run import Run
from services.turns.run_log import RunLog
from services.turns.settlement import Settlement
from services.turns.tail import Tail
from services.turns.writer import TurnWriter
from simulation.mutations.mutation import Mutation
from simulation.patching import Patch


def _epoch_not_compared(patch: Patch) -> None:
    def admits(self: Fence, turn: Turn | None) -> bool:
        return turn is not None and turn.state is TurnState.RUNNING

    patch.set(Fence, "admits", admits)


def _state_not_compared(patch: Patch) -> None:
    def admits(self: Fence, turn: Turn | None) -> bool:
        return turn is not None and turn.epoch == self.epoch

    patch.set(Fence, "admits", admits)


def _no_fence_at_settlement(patch: Patch) -> None:
    real = Commits._judge

    async def judge(self: Any, tx: Any, entry: Any, row: Turn | None) -> Any:
        settles = any(isinstance(step, Settlement) for step in entry.steps)
        if settles and row is not None and not row.state.ended:
            entry.log.fence = Fence(row.epoch)
            entry.log.next_seq = row.next_seq
        return await real(self, tx, entry, row)

    patch.set(Commits, "_judge", judge)


def _numbers_not_compared(patch: Patch) -> None:
    def standing(turn: Turn | None, fence: Fence, first: int, count: int) -> Standing:
        admitted = turn is not None and fence.admits(turn)
        return Standing.APPLIES if admitted else Standing.STALE

    patch.everywhere(core.turns.fencing.standing_of_append, standing)


def _written_before_not_recognised(patch: Patch) -> None:
    real = core.turns.fencing.standing_of_append

    def standing(turn: Turn | None, fence: Fence, first: int, count: int) -> Standing:
        found = real(turn, fence, first, count)
        return Standing.STALE if found is Standing.APPLIED_BEFORE else found

    patch.everywhere(real, standing)


def _new_numbers_after_doubt(patch: Patch) -> None:
    """What was sent in a commit of unknown outcome is sent again under fresh numbers."""
    real = core.turns.fencing.standing_of_append

    def standing(turn: Turn | None, fence: Fence, first: int, count: int) -> Standing:
        found = real(turn, fence, first, count)
        return Standing.APPLIES if found is Standing.APPLIED_BEFORE else found

    judge = Commits._judge

    async def renumbered(self: Any, tx: Any, entry: Any, row: Turn | None) -> Any:
        moved = (
            row is not None and entry.log.fence.admits(row) and row.next_seq > entry.log.next_seq
        )
        if moved and row is not None and entry.events:
            first = row.next_seq
            again = tuple(e._replace(seq=first + n) for n, e in enumerate(entry.events))
            entry = replace(entry, events=again)
        return await judge(self, tx, entry, row)

    patch.everywhere(real, standing)
    patch.set(Commits, "_judge", renumbered)


def _lease_not_renewed(patch: Patch) -> None:
    patch.everywhere(core.turns.leases.renewed, lambda turn, now, lease, hard: turn)


def _silent_runs_not_renewed(patch: Patch) -> None:
    patch.set(RunLog, "needs_renewal", lambda self, now: False)


def _renewed_for_ever(patch: Patch) -> None:
    patch.everywhere(
        core.turns.leases.may_renew, lambda turn, now, hard: turn.state is TurnState.RUNNING
    )
    patch.everywhere(
        core.turns.leases.longer_lease,
        lambda until, now, renewed_until, last: max(until, renewed_until),
    )


def _tail_before_commit(patch: Patch) -> None:
    commit, publish = TurnWriter._commit, Tail.publish

    async def early(self: Any, batch: Sequence[Any], *claims: Any) -> None:
        for entry in batch:
            if entry.events:
                entry.log.tail.publish(entry.events)
        await commit(self, batch, *claims)

    def once(self: Any, events: Sequence[LoggedEvent]) -> None:
        publish(self, [event for event in events if event.seq > self.last])

    patch.set(TurnWriter, "_commit", early)
    patch.set(Tail, "publish", once)


def _tail_without_beginning(patch: Patch) -> None:
    patch.set(Tail, "holds", lambda self, sequence: True)


def _tail_left_open(patch: Patch) -> None:
    real = RunLog.stale

    def stale(self: Any) -> None:
        close, self.tail.closed = self.tail.closed, True
        real(self)
        self.tail.closed = close

    patch.set(RunLog, "stale", stale)


def _stale_spends_on(patch: Patch) -> None:
    patch.set(RunLog, "stale", lambda self: self.tail.close(None))


def _released_not_noted(patch: Patch) -> None:
    real = core.turns.fencing.appended

    def appended(turn: Turn, events: Any, *, released: bool) -> Turn:
        return real(turn, events, released=False)

    extended = core.turns.fencing.extended

    def unnoted(turn: Turn, by: Any) -> Turn | None:
        return extended(turn, by._replace(released=False))

    patch.everywhere(real, appended)
    patch.everywhere(extended, unnoted)


def _cancel_not_learnt(patch: Patch) -> None:
    real = Run._learn

    def learn(self: Any, row: Any, read_elsewhere: bool | None) -> None:
        real(self, replace(row, cancel=None), read_elsewhere)

    patch.set(Run, "_learn", learn)


def _provider_not_stopped(patch: Patch) -> None:
    async def halt(self: Any, producing: Any) -> None:
        self.log.seal()

    patch.set(Run, "_halt", halt)


def _said_after_the_end(patch: Patch) -> None:
    patch.set(RunLog, "seal", lambda self: None)


def _lease_not_held(patch: Patch) -> None:
    async def hold(self: Any) -> None:
        return None

    patch.set(Run, "hold_lease", hold)


def _called_past_hard(patch: Patch) -> None:
    patch.set(Run, "_require_time", lambda self: None)


def _held_back_for_ever(patch: Patch) -> None:
    patch.set(RunLog, "store_is_away", lambda self, now, away: None)


def _one_stale_fails_all(patch: Patch) -> None:
    commit = TurnWriter._commit

    async def together(self: Any, batch: Sequence[Any], *claims: Any) -> None:
        await commit(self, batch, *claims)
        if any(entry.log.lost.done() for entry in batch):
            for entry in batch:
                entry.log.stale()

    patch.set(TurnWriter, "_commit", together)


def _gives_up_in_doubt(patch: Patch) -> None:
    given_up = TurnWriter._given_up

    def gives_up(self: Any, batch: Sequence[Any], away: Any) -> bool:
        given_up(self, batch, away)
        return True

    patch.set(TurnWriter, "_given_up", gives_up)


RUNNING = (
    Mutation("epoch not compared", "fenced: epoch = mine", _epoch_not_compared),
    Mutation("state not compared", "fenced: state = RUNNING", _state_not_compared),
    Mutation("no fence at settlement", "settle: fenced", _no_fence_at_settlement),
    Mutation("numbers not compared", "append: next_seq = first", _numbers_not_compared),
    Mutation(
        "written before not recognised",
        "next_seq = first + n with my epoch: it was applied",
        _written_before_not_recognised,
    ),
    Mutation(
        "fresh numbers after doubt", "unknown outcome: the same numbers", _new_numbers_after_doubt
    ),
    Mutation("lease not renewed", "every fenced write renews the lease", _lease_not_renewed),
    Mutation("silent runs not renewed", "renew by a task of its own", _silent_runs_not_renewed),
    Mutation("renewed for ever", "renew: now < deadline + hard", _renewed_for_ever),
    Mutation("tail before commit", "only after the commit into the tail", _tail_before_commit),
    Mutation("tail without beginning", "older than the tail: the log", _tail_without_beginning),
    Mutation(
        "tail left open",
        "stale: close the tail",
        _tail_left_open,
        survives="the end of the run closes it too, a moment later",
    ),
    Mutation("stale spends on", "stale: stop the provider", _stale_spends_on),
    Mutation("released not noted", "append: released", _released_not_noted),
    Mutation("cancel not learnt", "cancel returned: stop", _cancel_not_learnt),
    Mutation("provider not stopped", "stop the provider", _provider_not_stopped),
    Mutation(
        "not sealed at the end",
        "after the end nothing is said",
        _said_after_the_end,
        survives="what is said after settlement meets the fence, and is refused there",
    ),
    Mutation("lease not held", "local lease over: renew before a call", _lease_not_held),
    Mutation("called past the hard limit", "no call past deadline + hard", _called_past_hard),
    Mutation("held back for ever", "the store away for 30 s: stop", _held_back_for_ever),
    Mutation("one stale run fails all", "each operation judged alone", _one_stale_fails_all),
    Mutation("gives up in doubt", "repeat until the outcome is known", _gives_up_in_doubt),
)
