"""The state's rows about turns: who runs, what was asked, what was said, who reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Protocol

from core.identifiers import BootId, ConversationId, MessageId, Seconds, TurnId
from core.pages import Cursor
from core.turns.fencing import Extension
from core.turns.rows import (
    IdempotencyKey,
    IdempotencyRecord,
    LoggedEvent,
    ReaderRow,
    Turn,
    TurnState,
)


class TurnRows(Protocol):
    """Turns. Only a locked row may be decided upon; the lock is the transaction's."""

    async def get(self, turn: TurnId) -> Turn | None:
        """The row as committed."""

    async def lock(self, turns: Iterable[TurnId], *, wait: bool = True) -> Mapping[TurnId, Turn]:
        """The rows, held until the transaction ends, locked in order of id. Unknown ones lack.

        Without `wait`, so do those that another transaction holds.
        """

    async def extend(
        self, extensions: Sequence[Extension], now: datetime, lease: Seconds, hard: Seconds
    ) -> AbstractSet[TurnId]:
        """Do each that applies to its row as core.turns.fencing.extended says, and renew its lease.

        The lease as core.turns.leases.renewed says. The rows are held until the transaction ends,
        locked in order of id. Returns the turns whose rows do not stay as they were.
        """

    async def busy(self, conversation: ConversationId, parent: MessageId | None) -> Turn | None:
        """The turn that is RUNNING or WAITING on this branch."""

    async def any_busy(self, conversation: ConversationId) -> TurnId | None:
        """The turn that is RUNNING or WAITING on any of its branches, the first by id."""

    async def running(self, limit: int) -> Sequence[Turn]:
        """Turns in state RUNNING, oldest first."""

    async def due(
        self, lease_before: datetime, deadline_before: datetime, limit: int
    ) -> Sequence[Turn]:
        """RUNNING turns whose lease or whose deadline ended before these times, oldest first."""

    async def to_wake(self, now: datetime, limit: int) -> Sequence[Turn]:
        """WAITING turns that are decided, cancelled, or waited for until before `now`."""

    async def to_forget(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        """Turns that ended before this time and whose request ids are still kept."""

    async def to_compact(self, ended_before: datetime, limit: int) -> Sequence[Turn]:
        """Turns that ended before this time, are forgotten, and whose events are still kept."""

    async def list(
        self, states: AbstractSet[TurnState], limit: int, after: Cursor | None
    ) -> Sequence[Turn]:
        """Newest first, ties by id; the cursor is (created_at in ISO 8601, id)."""

    def insert(self, turn: Turn) -> None:
        """A new row. StoreConflict where the branch is busy."""

    def update(self, turn: Turn) -> None:
        """Replace a row that this transaction has locked. StoreConflict where a branch is busy."""


class IdempotencyRows(Protocol):
    """Which turn a caller's request id stands for."""

    async def find(self, key: IdempotencyKey) -> IdempotencyRecord | None:
        """The record, if the id was used."""

    async def find_all(
        self, keys: Sequence[IdempotencyKey]
    ) -> Mapping[IdempotencyKey, IdempotencyRecord]:
        """The records of those that were used."""

    def insert(self, record: IdempotencyRecord) -> None:
        """A new record. StoreConflict where the key is taken."""

    def forget(self, turn: Turn) -> None:
        """No request id stands for this turn any more."""


class EventRows(Protocol):
    """The turn log."""

    def append(self, turn: Turn, events: Sequence[LoggedEvent]) -> None:
        """Add events; StoreConflict where a number is taken."""

    async def read(self, turn: TurnId, after: int, limit: int) -> Sequence[LoggedEvent]:
        """Events with a number above `after`, in order."""

    def delete(self, turn: Turn) -> None:
        """Delete all events of the turn."""


class ReaderRows(Protocol):
    """Replicas that read a turn which runs elsewhere: one row a turn and replica."""

    def put(self, reader: ReaderRow) -> None:
        """Write or renew the row."""

    def leave(self, turn: TurnId, boot: BootId) -> None:
        """Nobody reads the turn on this replica any more. Idempotent."""

    async def live(self, turns: Iterable[TurnId], now: datetime) -> AbstractSet[TurnId]:
        """Those of the turns that have a row which has not expired."""

    async def of(self, turn: TurnId) -> Sequence[ReaderRow]:
        """A turn's rows, expired ones too, in order of replica."""

    def end(self, turn: TurnId) -> None:
        """Delete a turn's rows."""

    def expire(self, now: datetime) -> None:
        """Delete every row that expired before `now`."""
