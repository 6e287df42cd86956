"""Attempts, the ledger and execution records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.state.encoding.spending import (
    ATTEMPT,
    EXECUTION,
    LEDGER,
    attempt_of,
    attempt_row,
    execution_of,
    execution_row,
    ledger_of,
    ledger_row,
)
from adapters.state.encoding.values import micros
from adapters.state.rows.ranks import (
    ATTEMPT_INSERT,
    ATTEMPT_UPDATE,
    EXECUTION_INSERT,
    LEDGER_INSERT,
)
from adapters.state.rows.session import Session
from adapters.state.rows.statements import insert, select, update
from core.identifiers import TurnId
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine

_BEGIN = insert("attempt", ATTEMPT, rank=ATTEMPT_INSERT)
_UPDATE = update("attempt", ATTEMPT, ("unit", "number", "tenant"), rank=ATTEMPT_UPDATE)
_ATTEMPTS = select(ATTEMPT, "FROM attempt WHERE unit = ?2 AND {mine} ORDER BY number {locked}")
_ORPHANED = select(
    ATTEMPT,
    "FROM attempt WHERE NOT booked AND epoch = 0 AND began_at < ?3 AND {mine} "
    "ORDER BY began_at, unit, number LIMIT ?2",
)

_BOOK = insert(
    "ledger",
    LEDGER,
    "ON CONFLICT (unit, attempt) DO UPDATE SET {replacing} "
    "WHERE ledger.estimated AND ledger.tenant = excluded.tenant",
    rank=LEDGER_INSERT,
)
_LINES = select(LEDGER, "FROM ledger WHERE unit = ?2 AND {mine} ORDER BY attempt")

_BOOKED = select(
    LEDGER,
    "FROM ledger WHERE booked_at >= ?3 AND booked_at < ?4 AND {mine} "
    "AND (booked_at, unit, attempt) > (CAST(?3 AS BIGINT), ?5, CAST(?6 AS BIGINT)) "
    "ORDER BY booked_at, unit, attempt LIMIT ?2",
)

_RECORD = insert(
    "execution",
    EXECUTION,
    "ON CONFLICT (turn) DO UPDATE SET {replacing} WHERE execution.tenant = excluded.tenant",
    rank=EXECUTION_INSERT,
)
_EXECUTION = select(EXECUTION, "FROM execution WHERE turn = ?2 AND {mine}")


class SqlSpendingRows:
    """See core.ports.spending_rows.SpendingRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, attempt: Attempt) -> None:
        """See SpendingRows.begin."""
        self._session.write_for(attempt.tenant, _BEGIN, attempt_row(attempt))

    def update(self, attempt: Attempt) -> None:
        """See SpendingRows.update."""
        self._session.write_for(attempt.tenant, _UPDATE, attempt_row(attempt))

    async def attempts(self, unit: str) -> Sequence[Attempt]:
        """See SpendingRows.attempts."""
        return await self._session.all(attempt_of, _ATTEMPTS, unit)

    async def orphaned(self, began_before: datetime, limit: int) -> Sequence[Attempt]:
        """See SpendingRows.orphaned."""
        before = micros(began_before)
        return await self._session.all(attempt_of, _ORPHANED, limit, before, rows=limit)

    def book(self, line: LedgerLine) -> None:
        """See SpendingRows.book."""
        self._session.write_for(line.tenant, _BOOK, ledger_row(line))

    async def lines(self, unit: str) -> Sequence[LedgerLine]:
        """See SpendingRows.lines."""
        return await self._session.all(ledger_of, _LINES, unit)

    async def booked(
        self, since: datetime, before: datetime, limit: int, after: tuple[datetime, str, int] | None
    ) -> Sequence[LedgerLine]:
        """See SpendingRows.booked."""
        at, unit, attempt = after or (since, "", -1)
        times = micros(max(at, since)), micros(before)
        last = (unit, attempt) if at >= since else ("", -1)
        return await self._session.all(ledger_of, _BOOKED, limit, *times, *last, rows=limit)

    def record(self, execution: ExecutionRecord) -> None:
        """See SpendingRows.record."""
        self._session.write_for(execution.tenant, _RECORD, execution_row(execution))

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        """See SpendingRows.execution."""
        return await self._session.one(execution_of, _EXECUTION, turn)
