"""A turn's request id, its log, and who reads it elsewhere,."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from adapters.state.encoding.turns import (
    EVENT,
    EVENT_READ,
    IDEMPOTENCY,
    READER,
    event_of,
    event_rows,
    idempotency_of,
    idempotency_row,
    reader_of,
    reader_row,
)
from adapters.state.encoding.values import micros, text_list_json
from adapters.state.rows.ranks import EVENT_INSERT, IDEMPOTENCY_INSERT, READERS_END
from adapters.state.rows.session import MANY_ROWS, Session
from adapters.state.rows.statements import Statement, insert, select
from core.identifiers import BootId, TurnId
from core.turns.rows import IdempotencyKey, IdempotencyRecord, LoggedEvent, ReaderRow, Turn

_FIND = select(
    IDEMPOTENCY,
    "FROM idempotency WHERE tenant = ?2 AND user_id = ?3 AND operation = ?4 AND request_id = ?5 "
    "AND {mine}",
)
_FIND_ALL = select(
    IDEMPOTENCY,
    "FROM {each ?2} CROSS JOIN idempotency WHERE tenant = {one 0} AND user_id = {one 1} "
    "AND operation = {one 2} AND request_id = {one 3} AND {mine}",
)
_INSERT_IDEMPOTENCY = insert("idempotency", IDEMPOTENCY, rank=IDEMPOTENCY_INSERT)
_FORGET = Statement("DELETE FROM idempotency WHERE turn = ?1 AND tenant = ?2")

_APPEND = insert(
    "event", EVENT, types="text bigint text bigint bigint text bytea".split(), rank=EVENT_INSERT
)
_READ = select(
    EVENT_READ, "FROM event WHERE turn = ?2 AND seq > ?3 AND {mine} ORDER BY seq LIMIT ?4"
)
_DELETE = Statement("DELETE FROM event WHERE turn = ?2 AND tenant = ?3 AND {mine}")

_PUT = insert(
    "reader",
    READER,
    "ON CONFLICT (turn, boot) DO UPDATE SET {replacing} WHERE reader.tenant = excluded.tenant",
)
_LEAVE = Statement("DELETE FROM reader WHERE turn = ?2 AND boot = ?3 AND {mine}")
_LIVE = Statement(
    "SELECT DISTINCT turn FROM reader WHERE {turn in ?2} AND expires_at >= ?3 AND {mine}"
)
_OF = select(READER, "FROM reader WHERE turn = ?2 AND {mine} ORDER BY boot")
_END = Statement("DELETE FROM reader WHERE turn = ?2 AND {mine}", rank=READERS_END)
_EXPIRE = Statement("DELETE FROM reader WHERE expires_at < ?2 AND {mine}")


class SqlIdempotencyRows:
    """See core.ports.turn_rows.IdempotencyRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        """See IdempotencyRows.find."""
        return await self._session.one(
            idempotency_of, _FIND, key.tenant, key.user, key.operation, key.request_id
        )

    async def find_all(
        self, keys: Sequence[IdempotencyKey]
    ) -> Mapping[IdempotencyKey, IdempotencyRecord]:
        """See IdempotencyRows.find_all."""
        listed = self._session.texts(
            text_list_json((key.tenant, key.user, key.operation, key.request_id)) for key in keys
        )
        rows = len(keys)
        found = await self._session.all(idempotency_of, _FIND_ALL, listed, rows=rows)
        return {record.key: record for record in found}

    def insert(self, record: IdempotencyRecord) -> None:
        """See IdempotencyRows.insert."""
        self._session.write_for(record.key.tenant, _INSERT_IDEMPOTENCY, idempotency_row(record))

    def forget(self, turn: Turn) -> None:
        """See IdempotencyRows.forget."""
        self._session.write_for(turn.tenant, _FORGET, (turn.id, turn.tenant))


class SqlEventRows:
    """See core.ports.turn_rows.EventRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        """See EventRows.append."""
        self._session.write_for(turn.tenant, _APPEND, *event_rows(turn, events))

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        """See EventRows.read."""
        return await self._session.all(event_of, _READ, turn, after, limit, rows=limit)

    def delete(self, turn: Turn) -> None:
        """See EventRows.delete."""
        self._session.admit(turn.tenant)
        self._session.write_scoped(_DELETE, turn.id, turn.tenant, rows=turn.next_seq)


class SqlReaderRows:
    """See core.ports.turn_rows.ReaderRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, reader: ReaderRow) -> None:
        """See ReaderRows.put."""
        self._session.write_for(reader.tenant, _PUT, reader_row(reader))

    def leave(self, turn: TurnId, boot: BootId) -> None:
        """See ReaderRows.leave."""
        self._session.write_scoped(_LEAVE, turn, boot)

    async def live(self, turns: Iterable[TurnId], now: datetime) -> AbstractSet[TurnId]:
        """See ReaderRows.live."""
        ids = list(turns)
        found = self._session.all(
            _turn_in, _LIVE, self._session.texts(ids), micros(now), rows=len(ids)
        )
        return frozenset(await found)

    async def of(self, turn: TurnId) -> Sequence[ReaderRow]:
        """See ReaderRows.of."""
        return await self._session.all(reader_of, _OF, turn)

    def end(self, turn: TurnId) -> None:
        """See ReaderRows.end."""
        self._session.write_scoped(_END, turn)

    def expire(self, now: datetime) -> None:
        """See ReaderRows.expire."""
        self._session.write_scoped(_EXPIRE, micros(now), rows=MANY_ROWS)


def _turn_in(row: tuple[str]) -> TurnId:
    return TurnId(row[0])
