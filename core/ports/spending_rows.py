"""The state's rows about what was spent: attempts, the ledger, execution records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from core.identifiers import TurnId
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine


class SpendingRows(Protocol):
    """Attempts and what they cost. Keys: (unit, number)."""

    def begin(self, attempt: Attempt) -> None:
        """A new attempt; StoreConflict where the number is taken."""

    def update(self, attempt: Attempt) -> None:
        """Replace an attempt's row."""

    async def attempts(self, unit: str) -> Sequence[Attempt]:
        """A unit's attempts in order of number, locked for this transaction."""

    async def orphaned(self, began_before: datetime, limit: int) -> Sequence[Attempt]:
        """Unbooked attempts of no turn (epoch 0) that began before this time, oldest first."""

    def book(self, line: LedgerLine) -> None:
        """Write the ledger line of an attempt: once; a later one replaces an estimate only."""

    async def lines(self, unit: str) -> Sequence[LedgerLine]:
        """A unit's ledger lines in order of attempt."""

    async def booked(
        self, since: datetime, before: datetime, limit: int, after: tuple[datetime, str, int] | None
    ) -> Sequence[LedgerLine]:
        """Lines that were booked in this time, in order of time, unit and attempt.

        `after` is the last line of the page before. An estimate that was replaced counts as
        booked when it was.
        """

    def record(self, execution: ExecutionRecord) -> None:
        """Write a turn's execution record; a repeat replaces it."""

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        """The record of a turn that ended."""
