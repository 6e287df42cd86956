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
from typing import Generic, TypeVar

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


class Ranked(Generic[Group]):
    """Recorded statements, each with its rows; one statement's rows are one group where they may.

    `new` makes the group of a statement. One without a rank gets another, unless it was the last
    that was recorded.
    """

    __slots__ = ("_groups", "_new", "_open", "_part", "_pinned")

    def __init__(self, new: Callable[[Statement], Group]) -> None:
        self._new = new
        self._groups: list[tuple[int, int, Group]] = []
        self._open: dict[Statement, Group] = {}
        self._part = 0
        self._pinned = False
        """Whether the last group is of a statement without a rank."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def group(self, statement: Statement) -> Group:
        """Where a row of this statement belongs."""
        group = self._open.get(statement)
        if group is not None:
            return group
        if self._pinned or statement.rank is None:
            self._open.clear()
            self._part += 1
        self._pinned = statement.rank is None
        group = self._open[statement] = self._new(statement)
        self._groups.append((self._part, statement.rank or 0, group))
        return group

    def take(self) -> list[Group]:
        """All that was recorded, in the order in which it is to be done; nothing is left."""
        taken = sorted(self._groups, key=_place)
        self._groups = []
        self._open.clear()
        self._pinned = False
        return [group for _, _, group in taken]


def _place(group: tuple[int, int, object]) -> tuple[int, int]:
    return group[:2]
