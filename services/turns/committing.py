"""One commit of many runs: what each brings is judged alone, and each is told what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

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
        self._lease = timedelta(seconds=timings.lease)

    async def commit(self, batch: Sequence[Entry], claims: Sequence[Fresh] = ()) -> int:
        """Commit the batch, and tell each of its runs. No two entries are of one turn.

        Claims go along. Where it fails, nobody has been told anything.
        Returns how many events went into the log.
        """
        began, sent = self._clock.monotonic(), self._boottime()
        read: AbstractSet[TurnId] | None = None
        async with self._state.transaction(EVERY_TENANT) as tx:
            if claims:
                await self._claims.write(tx, claims)
            at = tx.now
            renewed_until = at + self._lease
            extended = await self._extend(tx, batch)
            others = [entry.log.turn_id for entry in batch if entry.log.turn_id not in extended]
            rows = await tx.turns.lock(others) if others else {}
            if [entry for entry in batch if entry.log.wonders_at <= began]:
                read = await tx.readers.live([entry.log.turn_id for entry in batch], at)
            verdicts: dict[TurnId, _Verdict] = {}
            for entry in batch:
                log = entry.log
                if log.turn_id not in extended:
                    verdicts[log.turn_id] = await self._judge(tx, entry, rows.get(log.turn_id))
                elif entry.steps:
                    row = log.row_after(len(entry.events), entry.released, at, renewed_until)
                    verdicts[log.turn_id] = await self._take_steps(tx, entry, row, Standing.APPLIES)
        self._claims.through(claims)
        self._contact.reached(sent)
        timings = self._timings
        lease_end = local_lease_end(sent, timings.lease, timings.lease_margin)
        through = Through(self._clock.monotonic(), at, renewed_until, lease_end)
        return self._tell(batch, verdicts, through, read)

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
            row = await step.apply(tx, row, writing)
            if writing.closing:
                closing, writing.closing = writing.closing, []
                last = self._numbered(log, row.next_seq, closing)
                tx.events.append(row, last)
                row = appended(row, last, released=any(map(releases, closing)))
                logged = (*logged, *last)
            if row is not extended and not log.fence.admits(row):
                break  # it has let go of the turn: there is nothing more to change
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
        batch: Sequence[Entry],
        verdicts: Mapping[TurnId, _Verdict],
        through: Through,
        read: AbstractSet[TurnId] | None,
    ) -> int:
        """Tell each run what came of its entry; how many of their events are in the log."""
        told = 0
        for entry in batch:
            log, logged, runs = entry.log, entry.events, True
            elsewhere = None if read is None else log.turn_id in read
            verdict = verdicts.get(log.turn_id)
            if verdict is None:
                log.extended(logged, entry.released, through, elsewhere)
            elif verdict.standing is Standing.STALE or verdict.row is None:
                log.stale()
                continue
            else:
                logged, log.attempts = verdict.logged, verdict.attempts
                log.committed(logged, verdict.row, through, elsewhere)
                runs = verdict.row.state is TurnState.RUNNING
            told += len(logged)
            if log.read_elsewhere and (logged or not runs):  # those on other replicas
                self._bus.publish(TurnChanged(log.turn.tenant, log.turn_id))
        return told
