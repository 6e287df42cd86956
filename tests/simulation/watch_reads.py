"""Holds what is sent to clients, and what they hear, against the log."""

from __future__ import annotations

from core.errors import ColonnadeError, Reason
from core.turns.events import Finished, Started
from core.turns.rows import LoggedEvent, Turn, TurnState
from services.turns.lookup import TurnView
from services.turns.reading import Batch, TurnFailed
from simulation.clients import Reading
from simulation.codec import TableCodec
from simulation.network import Link, Lost
from simulation.plan import Action, Ask, Cancel, Setup
from simulation.replica import Life
from simulation.store import SimulatedStore
from simulation.watch_rows import Report, RowWatch

_MOMENT_S = 2.0
_AT_ONCE_S = 0.000_01
_MAY_BE_TOLD = frozenset(
    {
        Reason.SERVICE_UNAVAILABLE,
        Reason.TOO_MANY_REQUESTS,
        Reason.STORAGE_FULL,
    }
)
"""Refusals that are right where the store is away, the log is compacted, or a limit is reached."""


class ReadWatch:
    """Told of each batch as it is sent and as it is read, and of how each stream ends."""

    def __init__(
        self, report: Report, codec: TableCodec, rows: RowWatch, store: SimulatedStore, setup: Setup
    ) -> None:
        self.report = report
        self.readings: list[Reading] = []
        self.before: dict[Action, Turn | None] = {}
        """Each client's turn as it was when the client came."""
        self.reused_ids = 0
        self._codec = codec
        self._rows = rows
        self._server = store.server
        self._now = store.now
        self._loop = store.loop
        self._limited = setup.turns_limit < 8

    def sent(self, link: Link, batch: Batch) -> None:
        """A replica sends a batch: the log must hold it by now."""
        for body in batch.encoded.split(b";")[:-1]:
            turn, seq = self._rows.bodies.get(body + b";", ("", 0))
            if not turn:
                turn, seq = self._equal(link, body + b";")
            if not turn:
                self.report("no reader sees what the log does not hold", repr(body))
                return
            if seq != link.last + 1:
                self.report("no gap and no repeat", f"{turn}: {seq} after {link.last}")
            link.last, link.turn = seq, turn
        if batch.last != link.last:
            self.report("a batch says how far it goes", f"{batch.last}, not {link.last}")

    def read(self, reading: Reading, batch: Batch) -> None:
        """A client reads a batch."""
        if not reading.seen:
            self.readings.append(reading)
        for seq, event in self._codec.decode(batch.encoded):
            if seq != reading.last + 1:
                self.report("no gap and no repeat", f"{reading.turn}: {seq} after {reading.last}")
            if reading.complete:
                self.report("`finished` is last and once", f"{reading.turn}: {seq}")
            reading.last = seq
            if isinstance(event, Started):
                if reading.turn not in (None, event.turn):
                    self.report("one turn an id", f"{reading.turn} became {event.turn}")
                reading.turn = event.turn
                if reading.digest and str(self._rows.digests[event.turn]) != reading.digest:
                    self.report("an id stands for one content", event.turn)
            reading.complete = isinstance(event, Finished)
            reading.seen.append(batch.encoded)

    def ended(self, reading: Reading, result: object, step: Action, life: Life) -> None:
        """A stream has ended, by the server's word."""
        if isinstance(result, Lost):
            return
        turn: Turn | None = self._turn_of(reading)
        if result is None:
            self._ended_well(reading, turn)
        elif isinstance(result, TurnFailed):
            self._failed(reading, result, turn)
        elif isinstance(result, ColonnadeError):
            self._refused(reading, result, step, life)

    def viewed(self, view: TurnView, step: Action, life: Life) -> None:
        """A call has been answered with a turn as it stands."""
        row: Turn | None = self._server.tables["turns"].get(view.turn.id)
        if row is None:
            self.report("what is shown is stored", view.turn.id)
            return
        if isinstance(step, Ask) and not view.turn.state.ended:
            self.report("Chat answers after settlement", f"{row.id}: {view.turn.state}")
        before = self.before.get(step)
        ran = before is not None and before.state is TurnState.RUNNING and before.run == row.run
        asked_to_stop = row.state.ended or row.cancel is not None
        if isinstance(step, Cancel) and ran and not asked_to_stop:
            self.report("a cancel stands", f"{row.id}: {row.state}")
        if view.turn.state is TurnState.FINISHED and row.state is not TurnState.FINISHED:
            self.report("what has ended stays as it is", f"{row.id}: {row.state}")
        log = self._log(row.id)
        shown = self._codec.decode(view.encoded_events)
        if shown and [seq for seq, _ in shown] != [e.seq for e in log[: len(shown)]]:
            self.report("what is shown is stored", f"{row.id}: {[seq for seq, _ in shown]}")

    def _ended_well(self, reading: Reading, turn: Turn | None) -> None:
        if turn is None or turn.state is not TurnState.FINISHED:
            state = None if turn is None else turn.state
            self.report("a stream ends with its turn", f"{reading.turn} is {state}")
        elif reading.last != turn.next_seq - 1 or (not reading.complete and reading.seen):
            self.report("a stream ends with its turn", f"{turn.id}: {reading.last}")

    def _failed(self, reading: Reading, told: TurnFailed, turn: Turn | None) -> None:
        """A reader was told of a failure: it must be the row's, or that of a run since re-run."""
        if turn is None:
            return
        id = told.metadata.get("turn_id")
        if reading.turn is not None and id != reading.turn:
            self.report("a reader is told the end of its own turn", f"{reading.turn}: {id}")
        if turn.state is TurnState.FAILED and turn.run == 1 and turn.error is not None:
            if turn.error.reason != told.reason.value:
                self.report(
                    "every reader is told the same end",
                    f"{turn.id}: {turn.error.reason} and {told.reason}",
                )
        elif turn.state is TurnState.FINISHED and turn.run == 1:
            self.report("every reader is told the same end", f"{turn.id}: {told.reason}")

    def _refused(self, reading: Reading, error: ColonnadeError, step: Action, life: Life) -> None:
        if error.reason is Reason.TURN_LOG_EXPIRED:
            turn = self._turn_of(reading)
            if turn is None or turn.log_from == 1:
                self.report("no gap and no repeat", f"{reading.turn}: {error.message}")
            return
        if error.reason is Reason.TOO_MANY_REQUESTS:
            self._turned_away(reading, step, life)
        if error.reason in _MAY_BE_TOLD:
            return
        if error.reason is Reason.REQUEST_ID_REUSED:
            self.reused_ids += 1
            return
        if error.reason is Reason.BRANCH_BUSY:
            return
        self.report("a refusal has its reason", f"{step}: {error.reason} {error.message}")

    def _turned_away(self, reading: Reading, step: Action, life: Life) -> None:
        """A limit is asked for a turn that is to begin, never for one that is attached to.

        A claim that began after this call was refused may have found the place that it lacked.
        """
        if not self._limited:
            self.report("a refusal has its reason", f"{step}: no limit is reached")
        here = [
            turn
            for turn in self._server.tables["turns"].values()
            if turn.owner == life.boot and self._holds_place(turn)
        ]
        alone = len(here) == 1 and here[0].run == 1 and here[0].state is TurnState.RUNNING
        was_there = alone and self._began(here[0]) < reading.ended_at - _AT_ONCE_S
        if was_there and here[0].request_id == f"q{step.question}":
            self.report("whoever attaches is not turned away", f"{here[0].id}: {step}")

    def _began(self, turn: Turn) -> float:
        """When its claim was begun, on the loop's clock."""
        return self._loop.time() - (self._now() - turn.created_at).total_seconds()

    def _holds_place(self, turn: Turn) -> bool:
        """Whether its run counts against the limit, or did a moment ago."""
        if turn.ended_at is None:
            return True
        return (self._now() - turn.ended_at).total_seconds() < _MOMENT_S

    def _turn_of(self, reading: Reading) -> Turn | None:
        turn: Turn | None = self._server.tables["turns"].get(reading.turn)
        return turn

    def _log(self, turn: str) -> tuple[LoggedEvent, ...]:
        log: tuple[LoggedEvent, ...] = self._server.tables["events"].get(turn, ())
        return log

    def _equal(self, link: Link, body: bytes) -> tuple[str, int]:
        """An event that was encoded twice: its equal in the log."""
        ((seq, event),) = self._codec.decode(body)
        for logged in self._log(link.turn):
            if logged.seq == seq and self._codec.decode(logged.body)[0][1] == event:
                return link.turn, seq
        return "", 0
