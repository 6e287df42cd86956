"""Rules of the outcome, of booking, and of attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import core.turns.outcome
import core.turns.stopping
import services.models.attempts
from core.ports.state import StoreUnavailable
from core.turns.events import Finished
from core.turns.outcome import Outcome, outcome, unbooked
from core.turns.rows import Attempt, EndReason, Turn, TurnState
from services.models import attempt_steps
from services.models.attempts import Attempts
from services.turns.runs import Runs
from services.turns.settlement import Settlement
from simulation import store_rows, store_talks
from simulation.mutations.mutation import Mutation
from simulation.patching import Patch


def _row(**seen: Any) -> Callable[[Patch], None]:
    """An outcome that sees the row with these fields."""

    def change(patch: Patch) -> None:
        def blind(turn: Turn, reason: Any, failure: Any) -> Outcome:
            return outcome(replace(turn, **seen), reason, failure)

        patch.everywhere(outcome, blind)

    return change


def _end(**changes: Callable[[Turn, Outcome], Any]) -> Callable[[Patch], None]:
    """An outcome that differs in these fields."""

    def change(patch: Patch) -> None:
        def other(turn: Turn, reason: Any, failure: Any) -> Outcome:
            right = outcome(turn, reason, failure)
            return replace(right, **{n: make(turn, right) for n, make in changes.items()})

        patch.everywhere(outcome, other)

    return change


def _cancelled_may_run_again(turn: Turn, right: Outcome) -> TurnState:
    shown = turn.released or turn.done
    again = right.reason is EndReason.CANCELLED and not shown
    return TurnState.FAILED if again else right.state


def _finished_twice(patch: Patch) -> None:
    real = Settlement.apply

    async def apply(self: Any, tx: Any, row: Turn, writing: Any) -> Turn:
        ended = await real(self, tx, row, writing)
        writing.closing += [event for event in writing.closing if isinstance(event, Finished)]
        return ended

    patch.set(Settlement, "apply", apply)


def _no_finished(patch: Patch) -> None:
    real = Settlement.apply

    async def apply(self: Any, tx: Any, row: Turn, writing: Any) -> Turn:
        ended = await real(self, tx, row, writing)
        writing.closing.clear()
        return ended

    patch.set(Settlement, "apply", apply)


def _answer_not_stored(patch: Patch) -> None:
    patch.set(Settlement, "_store_answer", lambda self, *_: None)


def _head_not_moved(patch: Patch) -> None:
    patch.set(store_talks.ConversationTable, "move_head", lambda self, *_: None)


def _record_not_written(patch: Patch) -> None:
    patch.set(store_rows.SpendingTable, "record", lambda self, execution: None)


def _reader_rows_kept(patch: Patch) -> None:
    patch.set(store_rows.ReaderTable, "end", lambda self, turn: None)


def _only_last_booked(patch: Patch) -> None:
    patch.everywhere(unbooked, lambda attempts: unbooked(attempts)[-1:])


def _nothing_booked(patch: Patch) -> None:
    patch.everywhere(unbooked, lambda attempts: ())


def _booked_again(patch: Patch) -> None:
    patch.everywhere(unbooked, tuple)


def _ledger_overwritten(patch: Patch) -> None:
    def book(self: Any, line: Any) -> None:
        key = (line.unit, line.attempt)
        self._tx.write([("ledger", key)], lambda view: view.put("ledger", key, line))

    def all_again(attempts: Any) -> Any:
        return tuple(replace(attempt, used=None) for attempt in attempts)

    patch.set(store_rows.SpendingTable, "book", book)
    patch.everywhere(unbooked, all_again)


def _begun_unfenced(patch: Patch) -> None:
    """An attempt begins by a commit of its own, whoever has the turn by now."""

    async def check(tx: Any, unit: Any) -> None:
        return None

    patch.set(services.models.attempts, "_check_fence", check)
    _ride_nowhere(patch)


def _begun_after_cancel(patch: Patch) -> None:
    real = attempt_steps.Begin.apply

    async def apply(self: Any, tx: Any, row: Turn, writing: Any) -> Turn:
        await real(self, tx, replace(row, cancel=None), writing)
        return row

    patch.set(attempt_steps.Begin, "apply", apply)


def _ride_nowhere(patch: Patch) -> None:
    patch.set(Runs, "ride", lambda self, unit, step, is_next: None)


def _called_in_doubt(patch: Patch) -> None:
    """A begin whose outcome is unknown is taken for begun."""
    _ride_nowhere(patch)
    record, begin = attempt_steps.Wanted.record, Attempts._begin
    tried: dict[int, Any] = {}

    async def noted(self: Any, tx: Any, writing: Any) -> Any:
        tried[id(self)] = await record(self, tx, writing)
        return tried[id(self)]

    async def trusting(self: Any, wanted: Any) -> Any:
        try:
            return await begin(self, wanted)
        except StoreUnavailable as away:
            if not away.outcome_known and id(wanted) in tried:
                return tried[id(wanted)]
            raise

    patch.set(attempt_steps.Wanted, "record", noted)
    patch.set(Attempts, "_begin", trusting)


def _given_up_left_open(patch: Patch) -> None:
    real = attempt_steps.Wanted.record

    async def record(self: Any, tx: Any, writing: Any) -> Any:
        given_up, self.given_up = self.given_up, _Numbers(self.given_up)
        try:
            return await real(self, tx, writing)
        finally:
            given_up[:] = list.copy(self.given_up)
            self.given_up = given_up

    patch.set(attempt_steps.Wanted, "record", record)


class _Numbers(list[int]):
    """Numbers of which none is found again."""

    def __contains__(self, number: object) -> bool:
        return False


def _not_on_record(patch: Patch) -> None:
    """The provider is called before the commit of its attempt is known."""
    real = Attempts._begun

    async def begun(self: Any, wanted: Any) -> Any:
        asyncio.ensure_future(real(self, wanted)).add_done_callback(lambda done: done.exception())
        unit = wanted.unit
        return Attempt(
            unit.id,
            1,
            unit.tenant,
            unit.run,
            unit.epoch or 0,
            wanted.deployment.name,
            wanted.prompt_tokens,
            None,
            None,  # type: ignore[arg-type]
        )

    patch.set(Attempts, "_begun", begun)


def _end_not_written(patch: Patch) -> None:
    async def end(self: Any, attempt: Any, unit: Any, deployment: Any) -> None:
        return None

    patch.set(Attempts, "end", end)
    patch.set(Attempts, "end_riding", lambda self, *_: True)


def _late_usage_dropped(patch: Patch) -> None:
    async def end(self: Any, attempt: Any, unit: Any, deployment: Any) -> None:
        return None

    patch.set(Attempts, "_end", end)


def _cancel_not_noted(patch: Patch) -> None:
    patch.everywhere(core.turns.stopping.cancelled, lambda turn: turn)


def _abandon_over_cancel(patch: Patch) -> None:
    def abandoned(turn: Turn) -> Turn:
        return replace(turn, cancel=EndReason.ABANDONED)

    patch.everywhere(core.turns.stopping.abandoned, abandoned)


ENDING = (
    Mutation("cancel lost over finish", "a cancel that came first wins", _row(cancel=None)),
    Mutation("released not looked at", "INTERRUPTED with text: FINISHED", _row(released=False)),
    Mutation("tools not looked at", "INTERRUPTED with a tool: FINISHED", _row(done=False)),
    Mutation(
        "all that fails re-runs",
        "rerunnable: not released and not done",
        _end(rerunnable=lambda turn, right: right.state is TurnState.FAILED),
    ),
    Mutation(
        "nothing that fails re-runs",
        "rerunnable: FAILED, not released, not done",
        _end(rerunnable=lambda turn, right: False),
    ),
    Mutation("cancelled fails", "CANCELLED is FINISHED", _end(state=_cancelled_may_run_again)),
    Mutation(
        "interrupted finishes",
        "INTERRUPTED with nothing shown: FAILED",
        _end(
            state=lambda turn, right: (
                TurnState.FINISHED if right.reason is EndReason.INTERRUPTED else right.state
            )
        ),
    ),
    Mutation("finished twice", "`finished` is written at most once", _finished_twice),
    Mutation("no finished", "the last event is `finished`", _no_finished),
    Mutation("answer not stored", "settle: the assistant's message", _answer_not_stored),
    Mutation("head not moved", "settle: the head of the branch", _head_not_moved),
    Mutation("record not written", "settle: the execution record", _record_not_written),
    Mutation("reader rows kept", "settle: reader rows deleted", _reader_rows_kept),
    Mutation("only the last attempt booked", "settle: every attempt", _only_last_booked),
    Mutation("nothing booked", "settle: every unbooked attempt", _nothing_booked),
    Mutation(
        "booked attempts booked again",
        "settle: unbooked attempts alone",
        _booked_again,
        survives="the ledger's key refuses a second line, and usage is the same",
    ),
    Mutation("ledger overwritten", "the ledger's key: one line", _ledger_overwritten),
    Mutation("attempt begun unfenced", "begin attempt: fenced", _begun_unfenced),
    Mutation("attempt begun after cancel", "begin attempt: cancel is NULL", _begun_after_cancel),
    Mutation("called in doubt", "unknown begin: never call on that number", _called_in_doubt),
    Mutation("given-up numbers left open", "a number given up costs nothing", _given_up_left_open),
    Mutation("called before it is on record", "the attempt's row before the call", _not_on_record),
    Mutation("end of attempt not written", "end attempt: used", _end_not_written),
    Mutation("late usage dropped", "a late true value replaces the estimate", _late_usage_dropped),
    Mutation("cancel not noted", "cancel: cancel = CANCELLED", _cancel_not_noted),
    Mutation("abandon over cancel", "abandon: unless set", _abandon_over_cancel),
)
