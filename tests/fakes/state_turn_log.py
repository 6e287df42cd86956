"""Turns' request ids, their logs, and who reads them elsewhere, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from core.identifiers import BootId, TurnId
from core.ports.state import StoreConflict
from core.turns.rows import IdempotencyKey, IdempotencyRecord, LoggedEvent, ReaderRow, Turn
from fakes.state_tables import Owned, Tables, View, admits, must_admit


class FakeIdempotencyRows:
    """See core.ports.turn_rows.IdempotencyRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        found = (await self._view.read()).idempotency.get(key)
        return found if admits(self._view.scope, key.tenant) else None

    async def find_all(
        self, keys: Sequence[IdempotencyKey]
    ) -> Mapping[IdempotencyKey, IdempotencyRecord]:
        found = [await self.find(key) for key in keys]
        return {record.key: record for record in found if record is not None}

    def insert(self, record: IdempotencyRecord) -> None:
        must_admit(self._view.scope, record.key.tenant)

        def change(tables: Tables) -> None:
            if record.key in tables.idempotency:
                raise StoreConflict("the request id is taken")
            tables.idempotency[record.key] = record

        self._view.write("idempotency", change)

    def forget(self, turn: Turn) -> None:
        must_admit(self._view.scope, turn.tenant)

        def change(tables: Tables) -> None:
            tables.idempotency = {
                key: record
                for key, record in tables.idempotency.items()
                if (record.turn, key.tenant) != (turn.id, turn.tenant)
            }

        self._view.write("idempotency", change)


class FakeEventRows:
    """See core.ports.turn_rows.EventRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        must_admit(self._view.scope, turn.tenant)
        new = tuple(events)

        def change(tables: Tables) -> None:
            taken = {event.seq for log in _logs(tables, turn.id) for event in log.row}
            if len(taken | {event.seq for event in new}) < len(taken) + len(new):
                raise StoreConflict("the event's number is taken")
            key = (turn.id, turn.tenant)
            log = (*tables.events.get(key, Owned(turn.tenant, ())).row, *new)
            ordered = tuple(sorted(log, key=lambda event: event.seq))
            tables.events[key] = Owned(turn.tenant, ordered)

        self._view.write("events", change)

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        logs = _logs(await self._view.read(), turn)
        mine = [event for log in logs if admits(self._view.scope, log.tenant) for event in log.row]
        later = [event for event in mine if event.seq > after]
        return sorted(later, key=lambda event: event.seq)[:limit]

    def delete(self, turn: Turn) -> None:
        must_admit(self._view.scope, turn.tenant)

        def change(tables: Tables) -> None:
            tables.events.pop((turn.id, turn.tenant), None)

        self._view.write("events", change)


def _logs(tables: Tables, turn: TurnId) -> list[Owned[tuple[LoggedEvent, ...]]]:
    """A turn's log; each tenant that wrote under its id has its own."""
    return [log for (id, _), log in tables.events.items() if id == turn]


class FakeReaderRows:
    """See core.ports.turn_rows.ReaderRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def put(self, reader: ReaderRow) -> None:
        must_admit(self._view.scope, reader.tenant)
        key = (reader.turn, reader.boot)

        def change(tables: Tables) -> None:
            if tables.readers.get(key, reader).tenant == reader.tenant:
                tables.readers[key] = reader

        self._view.write("readers", change)

    def leave(self, turn: TurnId, boot: BootId) -> None:
        self._delete(lambda row: (row.turn, row.boot) == (turn, boot))

    async def live(self, turns: Iterable[TurnId], now: datetime) -> AbstractSet[TurnId]:
        wanted = set(turns)
        rows = await self._rows()
        return {row.turn for row in rows if row.turn in wanted and row.expires_at >= now}

    async def of(self, turn: TurnId) -> Sequence[ReaderRow]:
        mine = [row for row in await self._rows() if row.turn == turn]
        return sorted(mine, key=lambda row: row.boot)

    def end(self, turn: TurnId) -> None:
        self._delete(lambda row: row.turn == turn)

    def expire(self, now: datetime) -> None:
        self._delete(lambda row: row.expires_at < now)

    async def _rows(self) -> list[ReaderRow]:
        rows = (await self._view.read()).readers.values()
        return [row for row in rows if admits(self._view.scope, row.tenant)]

    def _delete(self, goes: Callable[[ReaderRow], bool]) -> None:
        def change(tables: Tables) -> None:
            tables.readers = {
                key: row
                for key, row in tables.readers.items()
                if not (goes(row) and admits(self._view.scope, row.tenant))
            }

        self._view.write("readers", change)
