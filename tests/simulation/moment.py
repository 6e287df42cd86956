"""One commit, as the checker sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simulation.store_server import Changes, Rows, Unit


@dataclass(slots=True)
class Moment:
    """One commit: who made it, and the rows before and after."""

    unit: Unit
    before: dict[str, Rows]
    own: Changes
    now: datetime
    at: float

    def after(self, table: str) -> Rows:
        """A table with this commit's changes."""
        changes = self.own.get(table)
        rows = self.before[table]
        if not changes:
            return rows
        return {k: row for k, row in {**rows, **changes}.items() if row is not None}
