"""A tool is about to be called: from here on the turn never runs again."""

from __future__ import annotations

from dataclasses import replace

from core.ports.state import Transaction
from core.turns.rows import Turn
from services.turns.writing import Writing


class IntendTool:
    """The step that is committed before a tool is called, so that no crash hides that it was.

    A turn that is to stop calls nothing more: its row comes back with the wish in it.
    """

    async def apply(self, _: Transaction, row: Turn, __: Writing) -> Turn:
        """See Step."""
        return row if row.cancel is not None else replace(row, done=True)
