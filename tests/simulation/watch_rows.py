"""Holds every commit against the protocol, as it is made. It knows the rules, not the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core.turns.rows import Attempt, EndReason, LedgerLine, LoggedEvent, Turn, TurnState
from core.turns.transcript import Transcript
from services.turns.timings import TurnTimings
from simulation.codec import TableCodec
from simulation.moment import Moment
from simulation.plan import Setup
from simulation.store_server import Unit

Report = Callable[[str, str], None]
RELEASES = frozenset({"delta", "citation", "tool_proposed", "approval_required"})
ABSENT: dict[Any, Any] = {}


class RowWatch:
    """Told of each commit. `owners` knows who held which epoch of a turn."""

    def __init__(
        self,
        report: Report,
        timings: TurnTimings,
        codec: TableCodec,
        *,
        setup: Setup,
        may_take: Callable[[Turn, Unit], str],
        read_at: Callable[[Turn], str],
        longest: Callable[[int], float],
    ) -> None:
        self.report = report
        self.owners: dict[tuple[str, int], str] = {}
        self.bodies: dict[bytes, tuple[str, int]] = {}
        """Every event that was ever logged, by its bytes: turn and number."""
        self.ids: dict[object, str] = {}
        """The turn that each request id stands for, also after it is forgotten."""
        self.changed_at: dict[str, float] = {}
        """When a turn's state, epoch or wish to stop was last changed, on the loop's clock."""
        self.digests: dict[str, str] = {}
        """The digest of the content that each turn was claimed with."""
        self.takeovers = 0
        self.reruns = 0
        self._timings = timings
        self._codec = codec
        self._alone = setup.alone
        self._limit = setup.turns_limit
        self._may_take = may_take
        self._read_at = read_at
        self._longest = longest

    def committed(self, moment: Moment) -> None:
        """Look at one commit."""
        turns: dict[str, Turn] = moment.own.get("turns", ABSENT)
        for id, new in turns.items():
            old = moment.before["turns"].get(id)
            if old is None or _standing(old) != _standing(new):
                self.changed_at[id] = moment.at
            self.owners[id, new.epoch] = new.owner
            self._log(moment, old, new)
            if old is None:
                self._inserted(moment, new)
            elif old != new:
                self._changed(moment, old, new)
        for id in moment.own.get("events", ABSENT):
            if id not in turns:
                self.report("the log and its row agree", f"{id}: events without their row")
        self._ids(moment)
        self._attempts(moment)
        self._ledger(moment)
        if turns:
            self._branches(moment)

    def _inserted(self, moment: Moment, new: Turn) -> None:
        if (new.run, new.epoch, new.state) != (1, 1, TurnState.RUNNING):
            self.report("a turn begins as it should", f"{new.id}: {new.run, new.epoch, new.state}")
        for record in moment.own.get("idempotency", ABSENT).values():
            if record is not None and record.turn == new.id:
                self.digests[new.id] = record.digest
        if new.id not in self.digests:
            self.report("one turn an id", f"{new.id} was claimed without its id")
        self._bounded(moment, new)
        asked = moment.own.get("messages", ABSENT)
        if new.conversation is not None and new.user_message not in asked:
            self.report("a question is stored with its turn", new.id)
        self._admitted(moment, new)

    def _admitted(self, moment: Moment, new: Turn) -> None:
        """A replica runs no more turns than it may; one that never began has no runner."""
        rows = moment.after("turns").values()
        running = sum(
            row.state is TurnState.RUNNING
            and row.owner == new.owner
            and (row.id == new.id or row.next_seq > 1)
            for row in rows
        )
        if running > self._limit:
            self.report("no replica runs more than it may", f"{new.owner}: {running}")

    def _changed(self, moment: Moment, old: Turn, new: Turn) -> None:
        if old.state.ended:
            self._changed_after_end(moment, old, new)
        elif new.epoch != old.epoch:
            self._taken(moment, old, new)
        else:
            self._written(moment, old, new)
        if new.state.ended and not old.state.ended:
            self._settled(moment, old, new)

    def _changed_after_end(self, moment: Moment, old: Turn, new: Turn) -> None:
        if new.state is TurnState.RUNNING:
            self._run_again(moment, old, new)
            return
        if new.log_from > old.log_from:
            age = moment.now - (old.ended_at or moment.now)
            if not old.forgotten or age.total_seconds() < self._timings.log_retention:
                self.report("no log is compacted too early", f"{old.id}: {age}")
        kept = replace(
            new, rerunnable=old.rerunnable, forgotten=old.forgotten, log_from=old.log_from
        )
        if kept != old:
            self.report("what has ended stays as it is", f"{old.id}: {_difference(old, new)}")
        if new.forgotten and new.rerunnable:
            self.report("forgotten turns never run again", old.id)

    def _run_again(self, moment: Moment, old: Turn, new: Turn) -> None:
        self.reruns += 1
        log = _log_of(moment, old.id)
        if old.state is not TurnState.FAILED or old.done or _released(log):
            self.report("nothing runs again after text or a tool", f"{old.id}: {old.reason}")
        if not old.rerunnable or old.forgotten:
            self.report("only what may run again does", f"{old.id}: {old.reason}")
        if (new.run, new.epoch, new.next_seq) != (old.run + 1, old.epoch + 1, old.next_seq):
            self.report("a re-run has the next run and epoch", f"{old.id}: {new.run, new.epoch}")
        if new.owner != moment.unit.boot or new.cancel is not None:
            self.report("a re-run begins as it should", f"{old.id}: {new.owner, new.cancel}")
        self._admitted(moment, new)
        self._bounded(moment, new)

    def _bounded(self, moment: Moment, new: Turn) -> None:
        """A turn has no longer than who asks for it gives it."""
        longest = timedelta(seconds=self._longest(int(new.request_id.removeprefix("q"))))
        if new.deadline_at > moment.now + longest:
            self.report("every turn has its deadline", f"{new.id}: {new.deadline_at}")

    def _taken(self, moment: Moment, old: Turn, new: Turn) -> None:
        """The epoch was raised on a turn that had not ended: a take-over, or a waking.

        Whoever takes over to attach may have run it again in the same transaction.
        """
        again = new.run == old.run + 1 and new.state is TurnState.RUNNING
        if new.epoch != old.epoch + (2 if again else 1):
            self.report("an epoch is raised by one", f"{old.id}: {old.epoch} to {new.epoch}")
        if old.state is TurnState.WAITING:
            self._ended_waiting(moment, old, new)
            return
        self.takeovers += 1
        if again:
            self._taken_and_run_again(moment, old, new)
        elif not new.state.ended:
            self.report("who takes over ends the turn", f"{old.id}: {new.state}")
        if not self._is_due(old, moment) and not self._alone:
            self.report("only what is due is taken over", f"{old.id} by {moment.unit.boot}")
        why_not = self._may_take(old, moment.unit)
        began = any(event.run == old.run for event in _log_of(moment, old.id))
        if why_not and (began or "touch" in why_not):
            self.report("no healthy turn is taken over", f"{old.id}: {why_not}")

    def _ended_waiting(self, moment: Moment, old: Turn, new: Turn) -> None:
        if new.state is TurnState.RUNNING:
            over = old.wait_until is not None and old.wait_until < moment.now
            if old.cancel is not None or not (old.decision is not None or over):
                self.report("only what is decided wakes", f"{old.id}: {old.cancel, old.decision}")
        elif not (new.state.ended and new.cancel is EndReason.CANCELLED):
            self.report("a turn that waits ends by a cancel alone", f"{old.id}: {new.cancel}")

    def _taken_and_run_again(self, moment: Moment, old: Turn, new: Turn) -> None:
        self.reruns += 1
        if old.done or old.cancel is EndReason.CANCELLED or _released(_log_of(moment, old.id)):
            self.report("nothing runs again after text or a tool", f"{old.id}: {old.cancel}")
        self._all_booked(moment, new)

    def _written(self, moment: Moment, old: Turn, new: Turn) -> None:
        """Written without a new epoch: by its owner, or a wish that anybody may note."""
        mine = moment.unit.boot == old.owner
        if not mine and old != replace(
            new, cancel=old.cancel, detach=old.detach, decision=old.decision
        ):
            self.report(
                "a stale runner changes nothing",
                f"{old.id} of {old.owner} by {moment.unit.boot}: {_difference(old, new)}",
            )
        if new.run != old.run or new.owner not in (old.owner, ""):
            self.report("a run keeps its owner", f"{old.id}: {_difference(old, new)}")
        if new.lease_until < old.lease_until and new.state is TurnState.RUNNING:
            self.report("a lease never becomes shorter", f"{old.id}")
        if new.lease_until > moment.now + timedelta(seconds=self._timings.lease):
            self.report("a lease is no longer than it may be", f"{old.id}: {new.lease_until}")
        longer = new.lease_until > old.lease_until
        renewed_at = new.lease_until - timedelta(seconds=self._timings.lease)
        runs_on = new.state is TurnState.RUNNING  # one that waits has no lease
        if longer and runs_on and _past_hard(old, renewed_at, self._timings):
            self.report("no lease after the hard deadline", f"{old.id}")
        self._wished(moment, old, new, mine=mine)

    def _wished(self, moment: Moment, old: Turn, new: Turn, *, mine: bool) -> None:
        """What is asked of a run: to stop, or to wait."""
        if old.cancel is EndReason.CANCELLED and new.cancel is not EndReason.CANCELLED:
            self.report("a cancel stands", f"{old.id}: {new.cancel}")
        if old.cancel is not None and new.cancel is None:
            self.report("a cancel stands", f"{old.id}: {old.cancel} was taken back")
        if new.state is TurnState.WAITING and old.state is TurnState.RUNNING:
            if new.owner or old.cancel is not None or not new.detach:
                self.report("a turn waits as it should", f"{old.id}: {_difference(old, new)}")
            self._all_booked(moment, new)
        if new.cancel is EndReason.ABANDONED and old.cancel is None:
            self._abandoned(moment, old, mine=mine)

    def _abandoned(self, moment: Moment, old: Turn, *, mine: bool) -> None:
        if not mine:
            self.report("only its owner abandons a turn", f"{old.id} by {moment.unit.boot}")
        if old.detach:
            self.report("nobody abandons a detached turn", old.id)
        where = self._read_at(old)
        if where:
            self.report("no turn that is read is abandoned", f"{old.id}: read at {where}")
        for row in moment.after("readers").values():
            if row.turn == old.id and row.boot != old.owner and row.expires_at > moment.now:
                self.report("no turn that is read is abandoned", f"{old.id}: read at {row.boot}")

    def _settled(self, moment: Moment, old: Turn, new: Turn) -> None:
        log = _log_of(moment, new.id)
        shown = _released(log) or new.done
        reason = old.cancel if old.cancel is not None else new.reason
        if new.reason is not reason:
            self.report("a cancel that came first wins", f"{new.id}: {reason} became {new.reason}")
        failed = reason in (EndReason.ERROR, EndReason.DEADLINE) or (
            reason in (EndReason.INTERRUPTED, EndReason.ABANDONED) and not shown
        )
        if (new.state is TurnState.FAILED) != failed:
            self.report("a turn ends as its reason says", f"{new.id}: {reason} is {new.state}")
        if new.rerunnable != (failed and not shown):
            self.report("nothing runs again after text or a tool", f"{new.id}: {new.rerunnable=}")
        finished = [event.seq for event in log if event.kind == "finished"]
        if finished != ([] if failed else [new.next_seq - 1]):
            self.report("`finished` is last and once", f"{new.id}: {finished} of {new.next_seq}")
        if new.ended_at is None or new.id not in moment.own.get("executions", ABSENT):
            self.report("one settlement", f"{new.id}: without its record")
        self._all_booked(moment, new)
        if any(row.turn == new.id for row in moment.after("readers").values()):
            self.report("reader rows end with the turn", new.id)
        self._answered(moment, new, log)

    def _all_booked(self, moment: Moment, new: Turn) -> None:
        lines = moment.after("ledger")
        for key, attempt in moment.after("attempts").items():
            if attempt.unit == new.id and not (attempt.booked and key in lines):
                self.report("every attempt is booked once", f"{key} is open after settlement")

    def _answered(self, moment: Moment, new: Turn, log: tuple[LoggedEvent, ...]) -> None:
        """The conversation holds what the log holds."""
        if new.conversation is None:
            return
        events = (event for logged in log for _, event in self._codec.decode(logged.body))
        text = Transcript.of(events).text
        answers = [
            m
            for m in moment.after("messages").values()
            if m.turn == new.id and m.id != new.user_message
        ]
        if [m.message.text for m in answers] != ([text] if text else []):
            self.report("the answer kept is the one released", f"{new.id}: {text!r}")
        talk = moment.after("conversations")[new.conversation]
        if text and answers and talk.head != answers[0].id:
            self.report("the head of the branch moves with the answer", new.id)

    def _log(self, moment: Moment, old: Turn | None, new: Turn) -> None:
        log = _log_of(moment, new.id)
        before = moment.before["events"].get(new.id, ())
        numbers = [event.seq for event in log]
        if numbers != list(range(new.log_from, new.next_seq)):
            self.report("the log and its row agree", f"{new.id}: {numbers} but {new.next_seq}")
        fresh = log[len(before) :]
        if fresh and log[: len(before)] != before:
            self.report("what is logged stays", new.id)
        for event in fresh:
            self.bodies[event.body] = (new.id, event.seq)
            if (event.run, event.epoch) != (new.run, new.epoch):
                self.report(
                    "a stale runner changes nothing",
                    f"{new.id}: {event.seq} of epoch {event.epoch} in {new.epoch}",
                )
        if new.released != (_released(log) or (old is not None and old.released)):
            self.report("what is released is known to be", f"{new.id}: {new.released=}")
        ends = [event for event in log if event.kind == "finished"]
        if ends and (len(ends) > 1 or log[-1] is not ends[0]):
            self.report("`finished` is last and once", f"{new.id}: {numbers}")

    def _ids(self, moment: Moment) -> None:
        for key, record in moment.own.get("idempotency", ABSENT).items():
            if record is not None:
                other = moment.before["idempotency"].get(key)
                if other is not None:
                    self.report("one turn an id", f"{key}: {other.turn} and {record.turn}")
                self.ids[key] = record.turn
                continue
            turn = moment.after("turns").get(moment.before["idempotency"][key].turn)
            kept = timedelta(seconds=self._timings.id_retention)
            if turn is None or not (turn.state.ended and turn.forgotten and turn.ended_at):
                self.report("no id is forgotten too early", f"{key}: {turn}")
            elif turn.ended_at + kept > moment.now:
                self.report("no id is forgotten too early", f"{turn.id} ended {turn.ended_at}")

    def _attempts(self, moment: Moment) -> None:
        changes: dict[Any, Attempt] = moment.own.get("attempts", ABSENT)
        for key, new in changes.items():
            old = moment.before["attempts"].get(key)
            if old is None:
                self._begun(moment, new)
                continue
            if old.used is not None and old.used != new.used:
                self.report("usage is written once", f"{key}: {old.used} became {new.used}")
            if old.booked and not new.booked:
                self.report("every attempt is booked once", f"{key} is open again")
            if new.booked and key not in moment.after("ledger"):
                self.report("every attempt is booked once", f"{key} has no line")

    def _begun(self, moment: Moment, new: Attempt) -> None:
        turn: Turn | None = moment.before["turns"].get(new.unit)
        mine = turn is not None and (turn.epoch, turn.owner) == (new.epoch, moment.unit.boot)
        if turn is None or turn.state is not TurnState.RUNNING or not mine:
            self.report("a stale runner changes nothing", f"{new.unit}: attempt {new.number}")
        elif turn.cancel is not None:
            self.report("nothing begins after a cancel", f"{new.unit}: attempt {new.number}")

    def _ledger(self, moment: Moment) -> None:
        changes: dict[Any, LedgerLine] = moment.own.get("ledger", ABSENT)
        for key, new in changes.items():
            old = moment.before["ledger"].get(key)
            if key not in moment.after("attempts"):
                self.report("what is booked was begun", f"{key}")
            if old is None or (old.usage, old.cost) == (new.usage, new.cost):
                continue
            grew = (new.usage.completion or 0) >= (old.usage.completion or 0)
            if not old.estimated or (new.estimated and not grew):
                self.report("every attempt is booked once", f"{key}: {old.usage} and {new.usage}")

    def _branches(self, moment: Moment) -> None:
        busy: dict[object, str] = {}
        for turn in moment.after("turns").values():
            if turn.conversation is None or turn.state.ended:
                continue
            other = busy.setdefault((turn.conversation, turn.parent), turn.id)
            if other != turn.id:
                self.report("one running turn a branch", f"{other} and {turn.id}")

    def _is_due(self, turn: Turn, moment: Moment) -> bool:
        return turn.lease_until < moment.now or _past_hard(turn, moment.now, self._timings)


def _standing(turn: Turn) -> object:
    return turn.state, turn.epoch, turn.cancel


def _past_hard(turn: Turn, now: datetime, timings: TurnTimings) -> bool:
    return turn.deadline_at + timedelta(seconds=timings.hard) < now


def _log_of(moment: Moment, turn: str) -> tuple[LoggedEvent, ...]:
    log: tuple[LoggedEvent, ...] = moment.after("events").get(turn, ())
    return log


def _released(log: tuple[LoggedEvent, ...]) -> bool:
    return any(event.kind in RELEASES for event in log)


def _difference(old: Turn, new: Turn) -> str:
    names = [n for n in Turn.__slots__ if getattr(old, n) != getattr(new, n)]
    return ", ".join(f"{n} {getattr(old, n)} to {getattr(new, n)}" for n in names)
