"""In which order the writes of a transaction may be done, so that many rows make one statement.

What a commit of many turns writes comes turn by turn: an event, an attempt, a row, and again an
event. Between two reads, statements with a rank are done in its order instead, each once with all
of its rows, which stay in the order in which they were recorded. That changes nothing, because:

- a row is inserted before it is changed, and a turn leaves its branch before the next one takes it;
- a message's conversation is there already; nothing else refers to a row of another table.

A statement without a rank stays where it is, and parts what comes before from what comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from adapters.state.rows.statements import Statement

Group = TypeVar("Group")

(
    TURN_UPDATE,
    TURN_UPDATE_INDEXED,
    TURN_INSERT,
    IDEMPOTENCY_INSERT,
    MESSAGE_INSERT,
    EVENT_INSERT,
    ATTEMPT_INSERT,
    ATTEMPT_UPDATE,
    LEDGER_INSERT,
    EXECUTION_INSERT,
    READERS_END,
    MOVE_HEAD,
) = range(1, 13)


class Ranked(dict[Statement, Group]):
    """Recorded statements, each with its rows; one statement's rows are one group where they may.

    Where a row of a statement belongs is what stands under it. `new` makes the group of one.
    A statement without a rank gets another, unless it was the last that was recorded.
    """

    __slots__ = ("_groups", "_new", "_part", "_pinned")

    def __init__(self, new: Callable[[Statement], Group]) -> None:
        self._new = new
        self._groups: list[tuple[int, int, Group]] = []
        self._part = 0
        self._pinned = False
        """Whether the last group is of a statement without a rank."""

    def __missing__(self, statement: Statement) -> Group:
        group = self._new(statement)
        if self._pinned or statement.rank is None:
            self.clear()
            self._part += 1
        self._pinned = statement.rank is None
        self[statement] = group
        self._groups.append((self._part, statement.rank or 0, group))
        return group

    def take(self) -> list[Group]:
        """All that was recorded, in the order in which it is to be done; nothing is left."""
        taken, self._groups = self._groups, []
        self.clear()
        self._pinned = False
        if len(taken) > 1:
            taken.sort(key=_place)
        return [group for _, _, group in taken]


def _place(group: tuple[int, int, object]) -> tuple[int, int]:
    return group[:2]
