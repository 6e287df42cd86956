"""Rules of readers, of taking over, of sweeping, waiting and forgetting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import core.turns.leases
import core.turns.outcome
import core.turns.retention
import core.turns.stopping
import core.turns.waiting
import services.turns.reading
from core.turns.rows import Turn, TurnState
from services.turns.audience import Audience
from services.turns.orphans import Orphans
from services.turns.presence import Presences
from services.turns.replica import StoreContact
from services.turns.runs import Runs
from services.turns.sweeper import Sweeper
from simulation import store_rows
from simulation.mutations.mutation import Mutation
from simulation.patching import Patch


def _abandons(patch: Patch, **seen: Any) -> None:
    real = core.turns.stopping.may_abandon

    def may(turn: Turn, **found: Any) -> bool:
        detach = seen.get("detach", turn.detach)
        known = {name: seen.get(name, value) for name, value in found.items()}
        return real(replace(turn, detach=detach), **known)

    patch.everywhere(real, may)


def _remote_readers_ignored(patch: Patch) -> None:
    _abandons(patch, remote_readers=False)
    real = store_rows.ReaderTable.live

    async def live(self: Any, turns: Any, now: Any) -> Any:
        await real(self, turns, now)
        return set()

    patch.set(store_rows.ReaderTable, "live", live)


def _remote_readers_ignored_at_the_end(patch: Patch) -> None:
    _abandons(patch, remote_readers=False)


def _local_readers_ignored(patch: Patch) -> None:
    _abandons(patch, local_readers=0)
    patch.set(Audience, "_is_read", lambda self: self._over or self._detached or self._elsewhere)

    def enter(self: Any) -> None:
        self.readers += 1

    patch.set(Audience, "enter", enter)


def _detach_ignored(patch: Patch) -> None:
    _abandons(patch, detach=False)
    patch.set(Audience, "_is_read", lambda self: self._over or self.readers > 0 or self._elsewhere)


def _never_abandoned(patch: Patch) -> None:
    patch.everywhere(core.turns.stopping.may_abandon, lambda turn, **_: False)


def _reader_row_not_written(patch: Patch) -> None:
    patch.set(store_rows.ReaderTable, "put", lambda self, reader: None)


def _reader_row_not_renewed(patch: Patch) -> None:
    def put(self: Any, reader: Any) -> None:
        key = (reader.turn, reader.boot)

        def once(view: Any) -> None:
            if key not in view.of("readers"):
                view.put("readers", key, reader)

        self._tx.write([("readers", key)], once)

    patch.set(store_rows.ReaderTable, "put", put)


def _reader_row_left(patch: Patch) -> None:
    patch.set(store_rows.ReaderTable, "leave", lambda self, turn, boot: None)
    patch.set(store_rows.ReaderTable, "expire", lambda self, now: None)

    async def live(self: Any, turns: Any, now: Any) -> Any:
        wanted = set(turns)
        return await self._tx.read(
            lambda view: {r.turn for r in view.of("readers").values() if r.turn in wanted}
        )

    patch.set(store_rows.ReaderTable, "live", live)


def _no_polling(patch: Patch) -> None:
    async def rest(self: Any, presence: Any) -> None:
        await presence.deserted.wait()

    patch.set(Presences, "_rest", rest)


def _position_not_checked(patch: Patch) -> None:
    patch.everywhere(services.turns.reading.check_position, lambda turn, after: None)


def _ends_before_all_is_read(patch: Patch) -> None:
    real = services.turns.reading.Readers._one_page

    async def page(self: Any, seat: Any, after: int) -> Any:
        found = await real(self, seat, after)
        if found.turn.state.ended:
            return replace(found, turn=replace(found.turn, next_seq=after + 1), events=())
        return found

    patch.set(services.turns.reading.Readers, "_one_page", page)


def _taken_early(patch: Patch) -> None:
    patch.everywhere(
        core.turns.outcome.may_be_taken_over, lambda turn, *_: turn.state is TurnState.RUNNING
    )


def _taken_out_of_touch(patch: Patch) -> None:
    patch.set(StoreContact, "covers_lease", lambda self: True)


def _epoch_kept_at_takeover(patch: Patch) -> None:
    real = Orphans.end

    async def end(self: Any, tx: Any, locked: Turn) -> Turn:
        return await real(self, tx, replace(locked, epoch=locked.epoch - 1))

    patch.set(Orphans, "end", end)


def _taken_unlocked(patch: Patch) -> None:
    """Whether a turn may be taken over is not asked again once its row is locked."""

    async def settle(self: Any, turn: Any, *, wait: bool = True) -> bool:
        return bool(await self._settle(turn, lambda row, now: True, wait=wait))

    patch.set(Orphans, "settle_if_due", settle)


def _no_hard_deadline(patch: Patch) -> None:
    def only_by_lease(turn: Turn, now: Any, hard: Any) -> bool:
        return turn.state is TurnState.RUNNING and turn.lease_until < now

    patch.everywhere(core.turns.outcome.may_be_taken_over, only_by_lease)
    _renewed_for_ever(patch)


def _renewed_for_ever(patch: Patch) -> None:
    patch.everywhere(
        core.turns.leases.may_renew, lambda turn, now, hard: turn.state is TurnState.RUNNING
    )
    patch.everywhere(
        core.turns.leases.longer_lease,
        lambda until, now, renewed_until, last: max(until, renewed_until),
    )


def _no_sweeper(patch: Patch) -> None:
    patch.set(Sweeper, "start", lambda self: None)


def _sweeper_wakes_nobody(patch: Patch) -> None:
    async def wake(self: Any, turn: Turn) -> None:
        return None

    patch.set(Sweeper, "_wake", wake)


def _sweeper_forgets_nothing(patch: Patch) -> None:
    async def nothing(self: Any, turn: Turn) -> None:
        return None

    patch.set(Sweeper, "_forget", nothing)


def _sweeper_compacts_nothing(patch: Patch) -> None:
    async def nothing(self: Any, turn: Turn) -> None:
        return None

    patch.set(Sweeper, "_compact", nothing)


def _forgets_what_runs(patch: Patch) -> None:
    async def to_forget(self: Any, before: Any, limit: int) -> Any:
        return await self._select(lambda row: not row.forgotten and row.created_at < before, limit)

    patch.set(store_rows.TurnTable, "to_forget", to_forget)
    patch.everywhere(core.turns.retention.may_forget, lambda turn, now, keep: not turn.forgotten)


def _forgotten_runs_again(patch: Patch) -> None:
    patch.everywhere(core.turns.retention.forgotten, lambda turn: replace(turn, forgotten=True))


def _compacts_early(patch: Patch) -> None:
    async def to_compact(self: Any, before: Any, limit: int) -> Any:
        return await self._select(
            lambda row: row.state.ended and row.log_from < row.next_seq, limit
        )

    patch.set(store_rows.TurnTable, "to_compact", to_compact)
    patch.everywhere(core.turns.retention.may_compact, lambda turn, now, keep: turn.state.ended)


def _compacts_silently(patch: Patch) -> None:
    patch.everywhere(core.turns.retention.compacted, lambda turn: turn)


def _wakes_undecided(patch: Patch) -> None:
    async def to_wake(self: Any, now: Any, limit: int) -> Any:
        return await self._select(lambda row: row.state is TurnState.WAITING, limit)

    patch.set(store_rows.TurnTable, "to_wake", to_wake)
    patch.everywhere(core.turns.waiting.may_wake, lambda turn, now: turn.state is TurnState.WAITING)


def _woken_twice(patch: Patch) -> None:
    patch.everywhere(
        core.turns.waiting.may_wake,
        lambda turn, now: turn.decision is not None and not turn.state.ended,
    )


def _epoch_kept_at_waking(patch: Patch) -> None:
    real = core.turns.waiting.woken

    def woken(turn: Turn, **fields: Any) -> Turn:
        return replace(real(turn, **fields), epoch=turn.epoch)

    patch.everywhere(real, woken)


def _waits_though_cancelled(patch: Patch) -> None:
    patch.everywhere(core.turns.waiting.may_wait, lambda turn: turn.state is TurnState.RUNNING)


def _waits_with_owner(patch: Patch) -> None:
    real = core.turns.waiting.waiting

    def waiting(turn: Turn, *rest: Any) -> Turn:
        return replace(real(turn, *rest), owner=turn.owner)

    patch.everywhere(real, waiting)


def _no_notices(patch: Patch) -> None:
    patch.set(Runs, "heard", lambda self, notice: None)


REPLICAS = (
    Mutation("remote readers ignored", "abandon: no live reader row", _remote_readers_ignored),
    Mutation(
        "remote readers ignored once locked",
        "abandon: reader rows read under the lock",
        _remote_readers_ignored_at_the_end,
    ),
    Mutation("local readers ignored", "abandon: no local reader", _local_readers_ignored),
    Mutation("detach ignored", "abandon: not detached", _detach_ignored),
    Mutation("never abandoned", "abandon after linger", _never_abandoned),
    Mutation("reader row not written", "reader elsewhere: a row", _reader_row_not_written),
    Mutation(
        "reader row not renewed", "reader elsewhere: renewed by each poll", _reader_row_not_renewed
    ),
    Mutation("reader row left", "leaving: the row is deleted", _reader_row_left),
    Mutation("no polling", "a lost notice costs a poll", _no_polling),
    Mutation("position not checked", "after < log_from - 1: expired", _position_not_checked),
    Mutation("ends before all is read", "end: all up to next_seq - 1", _ends_before_all_is_read),
    Mutation("taken early", "take over: the lease has run out", _taken_early),
    Mutation("taken out of touch", "take over: in touch for the whole lease", _taken_out_of_touch),
    Mutation("epoch kept at take-over", "take over: epoch + 1", _epoch_kept_at_takeover),
    Mutation("not asked again once locked", "take over: as the locked row says", _taken_unlocked),
    Mutation("no hard deadline", "take over: deadline + hard", _no_hard_deadline),
    Mutation("no sweeper", "every replica sweeps", _no_sweeper),
    Mutation("sweeper wakes nobody", "wake: any replica", _sweeper_wakes_nobody),
    Mutation("sweeper forgets nothing", "ids are forgotten", _sweeper_forgets_nothing),
    Mutation("sweeper compacts nothing", "logs are compacted", _sweeper_compacts_nothing),
    Mutation("forgets what runs", "forget: never while RUNNING", _forgets_what_runs),
    Mutation("forgotten runs again", "forget: rerunnable = false", _forgotten_runs_again),
    Mutation("compacts early", "compact: id forgotten, log retention over", _compacts_early),
    Mutation("compacts silently", "compact: log_from = next_seq", _compacts_silently),
    Mutation("wakes undecided", "wake: a decision, or its expiry", _wakes_undecided),
    Mutation("woken twice", "wake: WAITING", _woken_twice),
    Mutation("epoch kept at waking", "wake: epoch + 1", _epoch_kept_at_waking),
    Mutation("waits though cancelled", "wait: cancel is NULL", _waits_though_cancelled),
    Mutation("waits with its owner", "wait: no owner", _waits_with_owner),
    Mutation(
        "no notice to the owner",
        "cancel: a notice to the owner",
        _no_notices,
        survives="notices only make it faster: the next renewal finds the same",
    ),
)
