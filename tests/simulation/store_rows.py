"""The tables of the simulated store: what each method reads, locks and writes there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from core.identifiers import BootId, ConversationId, MessageId, Seconds, TurnId
from core.pages import Cursor
from core.ports.state import StoreConflict
from core.turns.fencing import Extension, extended
from core.turns.leases import renewed
from core.turns.rows import (
    Attempt,
    ExecutionRecord,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    ReaderRow,
    Turn,
    TurnState,
)
from simulation.store_server import Changes, Key, Rows, Server, Unit

Result = TypeVar("Result")
BUSY = (TurnState.RUNNING, TurnState.WAITING)


class View:
    """The rows as one statement sees them, and where its writes go."""

    __slots__ = ("_own", "_server", "_snapshot", "_unit")

    def __init__(
        self, server: Server, unit: Unit, snapshot: Mapping[str, Rows] | None = None
    ) -> None:
        self._server = server
        self._unit = unit
        self._own: Changes = unit.own
        self._snapshot = snapshot

    def of(self, table: str) -> Rows:
        """All rows of a table."""
        if self._snapshot is not None:
            return self._snapshot[table]
        return self._server.view(self._unit, table)

    def put(self, table: str, key: Any, row: Any) -> None:
        """Write a row; None deletes it."""
        self._own.setdefault(table, {})[key] = row

    def is_free(self, key: Key) -> bool:
        """Whether nobody else holds this row."""
        return self._server.is_free(key, self._unit)


class Access(Protocol):
    """A transaction's way to the store."""

    def write(self, keys: list[Key], change: Callable[[View], None]) -> None: ...

    async def read(
        self, read: Callable[[View], Result], lock: Callable[[View], list[Key]] | None = None
    ) -> Result: ...


@dataclass(slots=True)
class Table:
    _tx: Access


class TurnTable(Table):
    """See core.ports.turn_rows.TurnRows."""

    async def get(self, turn: TurnId) -> Turn | None:
        return await self._tx.read(lambda view: view.of("turns").get(turn))

    async def lock(self, turns: Iterable[TurnId], *, wait: bool = True) -> Mapping[TurnId, Turn]:
        wanted = sorted(set(turns))

        def keys(view: View) -> list[Key]:
            rows = view.of("turns")
            there: list[Key] = [("turns", turn) for turn in wanted if turn in rows]
            return there if wait else [key for key in there if view.is_free(key)]

        def read(view: View) -> Mapping[TurnId, Turn]:
            rows = view.of("turns")
            return {
                turn: rows[turn]
                for turn in wanted
                if turn in rows and view.is_free(("turns", turn))
            }

        return await self._tx.read(read, keys)

    async def extend(
        self, extensions: Sequence[Extension], now: datetime, lease: Seconds, hard: Seconds
    ) -> AbstractSet[TurnId]:
        rows = await self.lock([each.turn for each in extensions])
        done = set()
        for each in extensions:
            row = rows.get(each.turn)
            longer = extended(row, each) if row is not None else None
            if longer is not None:
                self.update(renewed(longer, now, lease, hard))
                done.add(each.turn)
        return done

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        def read(view: View) -> Turn | None:
            return next(busy_on(view, conversation, parent), None)

        return await self._tx.read(read)

    async def any_busy(self, conversation: ConversationId) -> TurnId | None:
        return await self._tx.read(
            lambda view: min(
                (
                    row.id
                    for row in view.of("turns").values()
                    if row.conversation == conversation and row.state in BUSY
                ),
                default=None,
            )
        )

    async def running(self, limit: int) -> Sequence[Turn]:
        return await self._select(lambda row: row.state is TurnState.RUNNING, limit)

    async def due(
        self, lease_before: datetime, deadline_before: datetime, limit: int
    ) -> Sequence[Turn]:
        return await self._select(
            lambda row: (
                row.state is TurnState.RUNNING
                and (row.lease_until < lease_before or row.deadline_at < deadline_before)
            ),
            limit,
        )

    async def to_wake(self, now: datetime, limit: int) -> Sequence[Turn]:
        return await self._select(
            lambda row: (
                row.state is TurnState.WAITING
                and (
                    row.decision is not None
                    or row.cancel is not None
                    or (row.wait_until is not None and row.wait_until < now)
                )
            ),
            limit,
        )

    async def to_forget(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        return await self._select(
            lambda row: (
                row.state.ended
                and not row.forgotten
                and row.ended_at is not None
                and row.ended_at < ended_before
            ),
            limit,
        )

    async def to_compact(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        return await self._select(
            lambda row: (
                row.state.ended
                and row.forgotten
                and row.log_from < row.next_seq
                and row.ended_at is not None
                and row.ended_at < ended_before
            ),
            limit,
        )

    async def list(
        self, states: AbstractSet[TurnState], limit: int, after: Cursor | None
    ) -> Sequence[Turn]:
        return await self._select(lambda row: row.state in states, limit)

    def insert(self, turn: Turn) -> None:
        def change(view: View) -> None:
            if turn.id in view.of("turns"):
                raise StoreConflict("the turn's id is taken")
            _require_free(view, turn)
            view.put("turns", turn.id, turn)

        self._tx.write([("turns", turn.id), *_branch_keys(turn)], change)

    def update(self, turn: Turn) -> None:
        def change(view: View) -> None:
            if turn.id in view.of("turns"):
                _require_free(view, turn)
                view.put("turns", turn.id, turn)

        self._tx.write([("turns", turn.id), *_branch_keys(turn)], change)

    async def _select(self, fits: Callable[[Turn], bool], limit: int) -> Sequence[Turn]:
        def read(view: View) -> Sequence[Turn]:
            rows = [row for row in view.of("turns").values() if fits(row)]
            return sorted(rows, key=lambda row: (row.created_at, row.id))[:limit]

        return await self._tx.read(read)


def busy_on(view: View, conversation: ConversationId, parent: MessageId | None) -> Iterator[Turn]:
    """The turn that runs or waits on a branch, if there is one."""
    return (
        row
        for row in view.of("turns").values()
        if row.state in BUSY and (row.conversation, row.parent) == (conversation, parent)
    )


def _branch_keys(turn: Turn) -> list[Key]:
    """The entry of the partial unique index that a busy turn takes."""
    if turn.conversation is None or turn.state not in BUSY:
        return []
    return [("branch", (turn.conversation, turn.parent))]


def _require_free(view: View, turn: Turn) -> None:
    if turn.conversation is None or turn.state not in BUSY:
        return
    if any(other.id != turn.id for other in busy_on(view, turn.conversation, turn.parent)):
        raise StoreConflict("the branch is busy")


class IdempotencyTable(Table):
    """See core.ports.turn_rows.IdempotencyRows."""

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        return await self._tx.read(lambda view: view.of("idempotency").get(key))

    async def find_all(
        self, keys: Sequence[IdempotencyKey]
    ) -> Mapping[IdempotencyKey, IdempotencyRecord]:
        def read(view: View) -> Mapping[IdempotencyKey, IdempotencyRecord]:
            rows = view.of("idempotency")
            return {key: rows[key] for key in keys if key in rows}

        return await self._tx.read(read)

    def insert(self, record: IdempotencyRecord) -> None:
        def change(view: View) -> None:
            if record.key in view.of("idempotency"):
                raise StoreConflict("the request id is taken")
            view.put("idempotency", record.key, record)

        self._tx.write([("idempotency", record.key)], change)

    def forget(self, turn: Turn) -> None:
        def change(view: View) -> None:
            for key, record in view.of("idempotency").items():
                if record.turn == turn.id:
                    view.put("idempotency", key, None)

        self._tx.write([], change)


class EventTable(Table):
    """See core.ports.turn_rows.EventRows."""

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        new = tuple(events)

        def change(view: View) -> None:
            log: tuple[LoggedEvent, ...] = view.of("events").get(turn.id, ())
            taken = {event.seq for event in log}
            if any(event.seq in taken for event in new):
                raise StoreConflict("the event's number is taken")
            view.put("events", turn.id, (*log, *new))

        if new:
            self._tx.write([("events", turn.id)], change)

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        def read(view: View) -> Sequence[LoggedEvent]:
            log = view.of("events").get(turn, ())
            later = [event for event in log if event.seq > after]
            return sorted(later, key=lambda event: event.seq)[:limit]

        return await self._tx.read(read)

    def delete(self, turn: Turn) -> None:
        self._tx.write([("events", turn.id)], lambda view: view.put("events", turn.id, None))


class ReaderTable(Table):
    """See core.ports.turn_rows.ReaderRows."""

    def put(self, reader: ReaderRow) -> None:
        key = (reader.turn, reader.boot)
        self._tx.write([("readers", key)], lambda view: view.put("readers", key, reader))

    def leave(self, turn: TurnId, boot: BootId) -> None:
        key = (turn, boot)
        self._tx.write([("readers", key)], lambda view: view.put("readers", key, None))

    async def live(self, turns: Iterable[TurnId], now: datetime) -> AbstractSet[TurnId]:
        wanted = set(turns)
        return await self._tx.read(
            lambda view: {
                row.turn
                for row in view.of("readers").values()
                if row.turn in wanted and row.expires_at >= now
            }
        )

    async def of(self, turn: TurnId) -> Sequence[ReaderRow]:
        return await self._tx.read(
            lambda view: sorted(
                (row for row in view.of("readers").values() if row.turn == turn),
                key=lambda row: row.boot,
            )
        )

    def end(self, turn: TurnId) -> None:
        self._delete(lambda row: row.turn == turn)

    def expire(self, now: datetime) -> None:
        self._delete(lambda row: row.expires_at < now)

    def _delete(self, fits: Callable[[ReaderRow], bool]) -> None:
        def change(view: View) -> None:
            for key, row in view.of("readers").items():
                if fits(row):
                    view.put("readers", key, None)

        self._tx.write([], change)


class SpendingTable(Table):
    """See core.ports.spending_rows.SpendingRows."""

    def begin(self, attempt: Attempt) -> None:
        key = (attempt.unit, attempt.number)

        def change(view: View) -> None:
            if key in view.of("attempts"):
                raise StoreConflict("the attempt's number is taken")
            view.put("attempts", key, attempt)

        self._tx.write([("attempts", key)], change)

    def update(self, attempt: Attempt) -> None:
        key = (attempt.unit, attempt.number)

        def change(view: View) -> None:
            if key in view.of("attempts"):
                view.put("attempts", key, attempt)

        self._tx.write([("attempts", key)], change)

    async def attempts(self, unit: str) -> Sequence[Attempt]:
        def read(view: View) -> Sequence[Attempt]:
            return _of_unit(view, "attempts", unit)

        return await self._tx.read(
            read, lambda view: [("attempts", (unit, row.number)) for row in read(view)]
        )

    async def orphaned(self, began_before: datetime, limit: int) -> Sequence[Attempt]:
        return []  # turns alone are simulated

    async def booked(self, *_: object) -> Sequence[LedgerLine]:
        return []  # and nobody asks for a report

    def book(self, line: LedgerLine) -> None:
        key = (line.unit, line.attempt)

        def change(view: View) -> None:
            old = view.of("ledger").get(key)
            if old is None or old.estimated:
                view.put("ledger", key, line)

        self._tx.write([("ledger", key)], change)

    async def lines(self, unit: str) -> Sequence[LedgerLine]:
        return await self._tx.read(lambda view: _of_unit(view, "ledger", unit))

    def record(self, execution: ExecutionRecord) -> None:
        key = execution.turn
        self._tx.write([("executions", key)], lambda view: view.put("executions", key, execution))

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        return await self._tx.read(lambda view: view.of("executions").get(turn))


def _of_unit(view: View, table: str, unit: str) -> list[Any]:
    rows = view.of(table).values()
    if table == "attempts":
        return sorted((row for row in rows if row.unit == unit), key=lambda row: row.number)
    return sorted((row for row in rows if row.unit == unit), key=lambda row: row.attempt)
