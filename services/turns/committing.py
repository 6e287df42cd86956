"""One commit of many runs: what each brings is judged alone, and each is told what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from core.identifiers import TurnId
from core.ports.bus import TurnChanged
from core.ports.event_codec import EventCodec
from core.ports.state import EVERY_TENANT, State, Transaction
from core.turns.events import TurnEvent, releases
from core.turns.fencing import Standing, appended, standing_of_append
from core.turns.leases import local_lease_end, renewed
from core.turns.rows import LoggedEvent, Turn, TurnState
from services.turns.fresh_claims import Fresh, FreshClaims
from services.turns.logged import numbered
from services.turns.replica import Replica, StoreContact
from services.turns.run_log import RunLog, Step, Through
from services.turns.timings import TurnTimings
from services.turns.writing import Known


@dataclass(slots=True, eq=False)
class Entry:
    """What one run brings to one commit: its numbered events, and the steps that follow them."""

    log: RunLog
    events: tuple[LoggedEvent, ...]
    released: bool
    steps: Sequence[Step]


@dataclass(slots=True, eq=False)
class _Verdict:
    """How the store took one run's entry: the row as it became, and all that is now logged.

    `attempts` are those of the turn, as far as they are known.
    """

    standing: Standing
    row: Turn | None
    logged: tuple[LoggedEvent, ...] = ()
    attempts: Known | None = None


class Commits:
    """Brings the entries of many runs to the store in one transaction."""

    def __init__(
        self,
        state: State,
        codec: EventCodec,
        replica: Replica,
        contact: StoreContact,
        timings: TurnTimings,
        claims: FreshClaims,
    ) -> None:
        self._claims = claims
        self._state = state
        self._codec = codec
        self._bus = replica.bus
        self._clock = replica.clock
        self._boottime = replica.boottime
        self._contact = contact
        self._timings = timings

    async def commit(self, batch: Sequence[Entry], claims: Sequence[Fresh] = ()) -> int:
        """Commit the batch, and tell each of its runs. No two entries are of one turn.

        Claims go along. Where it fails, nobody has been told anything.
        Returns how many events went into the log.
        """
        began, sent = self._clock.monotonic(), self._boottime()
        read: AbstractSet[TurnId] | None = None
        async with self._state.transaction(EVERY_TENANT) as tx:
            await self._claims.write(tx, claims)
            extended = await self._extend(tx, batch)
            others = [entry.log.turn_id for entry in batch if entry.log.turn_id not in extended]
            rows = await tx.turns.lock(others) if others else {}
            if any(entry.log.wonders(began) for entry in batch):
                read = await tx.readers.live([entry.log.turn_id for entry in batch], tx.now)
            verdicts = await self._verdicts(tx, batch, extended, rows)
        self._claims.through(claims)
        self._contact.reached(sent)
        through = Through(
            self._clock.monotonic(),
            tx.now,
            local_lease_end(sent, self._timings.lease, self._timings.lease_margin),
        )
        events = 0
        for entry in batch:
            id = entry.log.turn_id
            elsewhere = None if read is None else id in read
            events += self._tell(entry, verdicts.get(id), through, elsewhere)
        return events

    async def _extend(self, tx: Transaction, batch: Sequence[Entry]) -> AbstractSet[TurnId]:
        """Append what each brings, under its fence. A turn that lacks in the answer is judged."""
        sure = [entry for entry in batch if not entry.log.in_doubt]
        if not sure:
            return frozenset()
        extended = await tx.turns.extend(
            [entry.log.extension(len(entry.events), entry.released) for entry in sure],
            tx.now,
            self._timings.lease,
            self._timings.hard,
        )
        for entry in sure:
            if entry.events and entry.log.turn_id in extended:
                tx.events.append(entry.log.turn, entry.events)
        return extended

    async def _verdicts(
        self,
        tx: Transaction,
        batch: Sequence[Entry],
        extended: AbstractSet[TurnId],
        rows: Mapping[TurnId, Turn],
    ) -> Mapping[TurnId, _Verdict]:
        """By turn: of those that the fence did not prove, and of those that bring steps."""
        verdicts: dict[TurnId, _Verdict] = {}
        for entry in batch:
            id = entry.log.turn_id
            if id not in extended:
                verdicts[id] = await self._judge(tx, entry, rows.get(id))
        for entry in batch:
            id = entry.log.turn_id
            if entry.steps and id in extended:
                row = entry.log.row_after(len(entry.events), entry.released, tx.now)
                verdicts[id] = await self._take_steps(tx, entry, row, Standing.APPLIES)
        return verdicts

    async def _judge(self, tx: Transaction, entry: Entry, row: Turn | None) -> _Verdict:
        """Apply one run's entry to its locked row; what is stale writes nothing."""
        log = entry.log
        standing = standing_of_append(row, log.fence, log.next_seq, len(entry.events))
        if row is None or standing is Standing.STALE:
            if entry.steps and log.fence.let_go(row):
                return _Verdict(Standing.APPLIED_BEFORE, row, entry.events)
            return _Verdict(Standing.STALE, row)
        if standing is Standing.APPLIES and entry.events:
            tx.events.append(row, entry.events)
            row = appended(row, entry.events, released=entry.released)
        row = renewed(row, tx.now, self._timings.lease, self._timings.hard)
        tx.turns.update(row)
        return await self._take_steps(tx, entry, row, standing)

    async def _take_steps(
        self, tx: Transaction, entry: Entry, extended: Turn, standing: Standing
    ) -> _Verdict:
        """Take the steps, one after the other; the row is written where they change it."""
        log, logged, row = entry.log, entry.events, extended
        writing = log.writing()
        for step in entry.steps:
            if not log.fence.admits(row):
                break  # the step before has let go of the turn: there is nothing more to change
            row = await step.apply(tx, row, writing)
            closing, writing.closing = writing.closing, []
            if closing:
                last = self._numbered(log, row.next_seq, closing)
                tx.events.append(row, last)
                row = appended(row, last, released=any(releases(event) for event in closing))
                logged = (*logged, *last)
        writing.write(tx)
        if row is not extended:
            tx.turns.update(row)
        return _Verdict(standing, row, logged, writing.known)

    def _numbered(
        self, log: RunLog, first: int, events: Sequence[TurnEvent]
    ) -> tuple[LoggedEvent, ...]:
        return numbered(self._codec, events, first=first, run=log.run, epoch=log.fence.epoch)

    def _tell(
        self,
        entry: Entry,
        verdict: _Verdict | None,
        through: Through,
        elsewhere: bool | None,
    ) -> int:
        """Tell one run what came of its entry; how many of its events are in the log."""
        log = entry.log
        if verdict is None:
            log.extended(entry.events, entry.released, through, elsewhere)
            self._tell_elsewhere(log, entry.events, runs=True)
            return len(entry.events)
        if verdict.standing is Standing.STALE or verdict.row is None:
            log.stale()
            return 0
        log.attempts = verdict.attempts
        log.committed(verdict.logged, verdict.row, through, elsewhere)
        runs = verdict.row.state is TurnState.RUNNING
        self._tell_elsewhere(log, verdict.logged, runs=runs)
        return len(verdict.logged)

    def _tell_elsewhere(self, log: RunLog, events: Sequence[LoggedEvent], *, runs: bool) -> None:
        """Let readers on other replicas know that there is news."""
        if log.read_elsewhere and (events or not runs):
            self._bus.publish(TurnChanged(log.turn.tenant, log.turn_id))
