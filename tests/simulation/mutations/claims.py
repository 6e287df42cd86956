"""Rules of claiming, attaching, running again and admission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import core.canonical
import core.turns.fencing
import core.turns.outcome
import services.turns.claiming
import services.turns.claims
from core.turns.outcome import may_run_again
from core.turns.rows import Turn, TurnState
from services.turns.admission import Admission, Place
from services.turns.claiming import NewTurns
from services.turns.claims import Claims
from simulation import store_rows
from simulation.mutations.mutation import Mutation
from simulation.patching import Patch


class _EqualToAll(str):
    """A digest that differs from none."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def _digest_not_compared(patch: Patch) -> None:
    real = core.canonical.digest
    patch.set(services.turns.claims, "digest", lambda value: _EqualToAll(real(value)))


def _ids_not_unique(patch: Patch) -> None:
    async def nothing_known(self: Any, key: Any) -> None:
        return None

    async def none_known(self: Any, keys: Any) -> dict[Any, Any]:
        return {}

    def insert(self: Any, record: Any) -> None:
        self._tx.write([], lambda view: view.put("idempotency", record.key, record))

    patch.set(store_rows.IdempotencyTable, "find", nothing_known)
    patch.set(store_rows.IdempotencyTable, "find_all", none_known)
    patch.set(store_rows.IdempotencyTable, "insert", insert)


def _id_index_off(patch: Patch) -> None:
    def insert(self: Any, record: Any) -> None:
        self._tx.write([], lambda view: view.put("idempotency", record.key, record))

    patch.set(store_rows.IdempotencyTable, "insert", insert)


async def _anything_is_free(self: Any, *_: Any) -> None:
    return None


def _branch_not_asked(patch: Patch) -> None:
    patch.set(Claims, "_require_free", _anything_is_free)


def _branch_index_off(patch: Patch) -> None:
    patch.set(store_rows, "_require_free", lambda view, turn: None)
    patch.set(store_rows, "_branch_keys", lambda turn: [])


def _branch_unguarded(patch: Patch) -> None:
    _branch_not_asked(patch)
    _branch_index_off(patch)


def _branch_unguarded_at_rerun(patch: Patch) -> None:
    real = Claims._run_again

    async def run_again(self: Any, tx: Any, claiming: Any, turn: Turn) -> Any:
        with_branch = replace(turn, conversation=None)
        claim = await real(self, tx, claiming, with_branch)
        tx.turns.update(replace(claim.turn, conversation=turn.conversation))
        return replace(claim, turn=replace(claim.turn, conversation=turn.conversation))

    require = store_rows._require_free

    def only_first_runs(view: Any, turn: Turn) -> None:
        if turn.run == 1:
            require(view, turn)

    patch.set(Claims, "_run_again", run_again)
    patch.set(store_rows, "_require_free", only_first_runs)


def _nonce_ignored(patch: Patch) -> None:
    real = Claims._attach

    async def attach(self: Any, tx: Any, claiming: Any, id: Any) -> Any:
        claiming.nonce += "'"
        return await real(self, tx, claiming, id)

    patch.set(Claims, "_attach", attach)


def _no_single_flight(patch: Patch) -> None:
    async def enter(self: Any, key: Any) -> None:
        return None

    def leave(self: Any, key: Any, task: Any) -> None:
        self.under_way.discard(task)

    patch.set(Claims, "_enter", enter)
    patch.set(Claims, "_leave", leave)


def _no_admission(patch: Patch) -> None:
    patch.set(Admission, "take", lambda self, tenant: None)
    patch.set(Admission, "give_back", lambda self, tenant: None)


def _places_kept(patch: Patch) -> None:
    patch.set(Place, "give_back", lambda self: None)


def _again(**changes: Callable[[Turn, Turn], Any]) -> Callable[[Patch], None]:
    """A re-run whose row differs in these fields, made from the row before and the right one."""

    def change(patch: Patch) -> None:
        real = core.turns.fencing.run_again

        def run_again(turn: Turn, **fields: Any) -> Turn:
            right = real(turn, **fields)
            return replace(right, **{n: make(turn, right) for n, make in changes.items()})

        patch.everywhere(real, run_again)

    return change


def _all_failed_run_again(patch: Patch) -> None:
    patch.everywhere(may_run_again, lambda turn: turn.state is TurnState.FAILED)


def _all_ended_run_again(patch: Patch) -> None:
    patch.everywhere(may_run_again, lambda turn: turn.state.ended)


def _question_not_stored(patch: Patch) -> None:
    patch.set(services.turns.claiming, "_store_question", lambda *_: None)


def _no_deadline(patch: Patch) -> None:
    def longest(self: Any, claiming: Any, now: float) -> float:
        return float(self._timings.turn_maximum)

    patch.set(NewTurns, "_longest", longest)


CLAIMS = (
    Mutation("digest not compared", "attach: the digest is equal", _digest_not_compared),
    Mutation("ids not unique", "claim: no idempotency row", _ids_not_unique),
    Mutation("id index off", "unique index on the request id", _id_index_off),
    Mutation(
        "branch not asked for",
        "claim and re-run: the parent is not busy",
        _branch_not_asked,
        survives="the unique index stands behind it, and refuses the same",
    ),
    Mutation("branch index off", "unique index on the busy branch", _branch_index_off),
    Mutation("branch unguarded", "claim: the parent is not busy, nor its index", _branch_unguarded),
    Mutation(
        "branch unguarded at re-run",
        "re-run: the parent is not busy, nor its index",
        _branch_unguarded_at_rerun,
    ),
    Mutation("claim nonce ignored", "a claim whose reply was lost is recognised", _nonce_ignored),
    Mutation("no single flight", "equal calls wait for the first one's claim", _no_single_flight),
    Mutation("no admission", "claim: this call is admitted", _no_admission),
    Mutation("places kept", "a refusal has nothing to release", _places_kept),
    Mutation(
        "epoch kept at re-run", "re-run: epoch + 1", _again(epoch=lambda old, right: old.epoch)
    ),
    Mutation("run kept at re-run", "re-run: run + 1", _again(run=lambda old, right: old.run)),
    Mutation(
        "numbers begin anew at re-run",
        "re-run: next_seq goes on",
        _again(next_seq=lambda old, right: 1),
    ),
    Mutation(
        "wish to stop kept at re-run",
        "re-run: cancel is cleared",
        _again(cancel=lambda old, right: old.cancel),
    ),
    Mutation(
        "owner kept at re-run",
        "re-run: the new owner",
        _again(owner=lambda old, right: old.owner),
    ),
    Mutation("every failed turn re-runs", "re-run: rerunnable alone", _all_failed_run_again),
    Mutation("every ended turn re-runs", "re-run: FAILED alone", _all_ended_run_again),
    Mutation("question not stored", "claim: the user's message", _question_not_stored),
    Mutation("deadline not taken over", "claim: the deadline of the call", _no_deadline),
)
