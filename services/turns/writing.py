"""What the steps of one run write beside its row, in one transaction: last events, and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.ports.state import Transaction
from core.turns.events import TurnEvent
from core.turns.rows import Attempt

Known = Mapping[int, Attempt]
"""All attempts of a turn, in order of number, as the store has them."""


class Writing:
    """Shared by the steps of one transaction, so that none reads or writes a row twice.

    `closing` are the events that are logged with, and after, the steps. `known` are the turn's
    attempts where this process has written all of them itself, under the epoch that it still has;
    then, as this transaction leaves them, or None where it did not see them all. `fresh`: nobody
    but this run can have begun any.
    """

    __slots__ = ("_begun", "_changed", "_fresh", "closing", "known")

    def __init__(self, known: Known | None = None, *, fresh: bool = False) -> None:
        self.closing: list[TurnEvent] = []
        self.known = None if known is None else {**known}
        self._fresh = fresh
        self._begun: dict[int, Attempt] = {}
        self._changed: dict[int, Attempt] = {}

    async def attempts(
        self, tx: Transaction, unit: str, *, begins: bool = False
    ) -> Sequence[Attempt]:
        """The unit's attempts in order of number, with what was changed here.

        Whoever `begins` one does so for the run itself: then a fresh one is known to have none.
        """
        if self.known is None:
            found = () if begins and self._fresh else await tx.spending.attempts(unit)
            self.known = {row.number: self._changed.get(row.number, row) for row in found}
        return [*self.known.values()]

    def begin(self, attempt: Attempt) -> None:
        """Put an attempt on record whose number is above all others."""
        self._begun[attempt.number] = attempt
        if self.known is not None:
            self.known[attempt.number] = attempt

    def change(self, attempt: Attempt) -> None:
        """Replace an attempt that is on record."""
        place = self._begun if attempt.number in self._begun else self._changed
        place[attempt.number] = attempt
        if self.known is not None:
            self.known[attempt.number] = attempt

    def write(self, tx: Transaction) -> None:
        """Write what became of the attempts, once all steps are done: each row once."""
        for number in self._begun:
            tx.spending.begin(self._begun[number])
        for number in self._changed:
            tx.spending.update(self._changed[number])
