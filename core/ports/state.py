"""The state of record: one unit of work, committed together or not at all.

Reads are awaited. Writes are plain calls: they are recorded in order and reach the store before
the next read of the same transaction and at its end, so that a group of writes costs one hop.
What the store refuses (a unique key that is taken) is therefore raised by the next read or by
leaving the block, as StoreConflict, and nothing of the transaction remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from core.api_keys import ApiKey
from core.conversations import Conversation
from core.errors import Conflict, Unavailable
from core.identifiers import (
    ApiKeyId,
    BootId,
    ChunkId,
    CollectionName,
    ConversationId,
    DocumentId,
    MessageId,
    Position,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)
from core.knowledge import Chunk, Collection, Document, Vector
from core.messages import StoredMessage
from core.pages import Cursor
from core.ports.indexes import IndexChange
from core.turns.fencing import Extension, Wishes
from core.turns.rows import (
    Attempt,
    ExecutionRecord,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    ReaderRow,
    Turn,
    TurnState,
)


class EveryTenant(Enum):
    """The scope of the process's own work (the writer of all turns, start-up, key look-up)."""

    EVERY_TENANT = "every tenant"


EVERY_TENANT = EveryTenant.EVERY_TENANT
Scope = TenantId | EveryTenant


class StoreConflict(Conflict):
    """A unique key was taken by a transaction that committed first. Read again and decide anew."""


class StoreUnavailable(Unavailable):
    """The store cannot be reached, is full, or did not answer in time.

    `outcome_known` False: the commit may or may not have happened.
    """

    outcome_known: bool = True


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
    ) -> Mapping[TurnId, Wishes]:
        """Do each that applies to its row as core.turns.fencing.extended says, and renew its lease.

        The lease as core.turns.leases.renewed says. The rows are held until the transaction ends,
        locked in order of id. Turns whose rows stay as they were lack in the answer.
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

    def record(self, execution: ExecutionRecord) -> None:
        """Write a turn's execution record; a repeat replaces it."""

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        """The record of a turn that ended."""


class ConversationRows(Protocol):
    """Conversations and their messages. A conversation belongs to a user of a tenant."""

    async def get(self, conversation: ConversationId) -> Conversation | None:
        """The row; None also where it is another tenant's."""

    async def list(self, owner: UserId, limit: int, after: Cursor | None) -> Sequence[Conversation]:
        """Newest update first, ties by id; the cursor is (updated_at in ISO 8601, id)."""

    def insert(self, conversation: Conversation) -> None:
        """A new row; StoreConflict where the id is taken."""

    def update(self, conversation: Conversation) -> None:
        """Replace a row."""

    def delete(self, conversation: ConversationId) -> None:
        """Delete it with its messages, turns, their events, idempotency and execution records.

        The attempts and the ledger stay: what was spent was spent.
        """

    def add_message(self, message: StoredMessage) -> None:
        """A new message; StoreConflict where the id is taken, or there is no such conversation."""

    async def message(
        self, conversation: ConversationId, message: MessageId
    ) -> StoredMessage | None:
        """One message of the conversation."""

    async def branch(
        self, conversation: ConversationId, head: MessageId, limit: int
    ) -> Sequence[StoredMessage]:
        """Up to `limit` messages from `head` upwards, returned oldest first."""

    async def messages(
        self, conversation: ConversationId, limit: int, after: Cursor | None
    ) -> Sequence[StoredMessage]:
        """All branches' messages, oldest first, ties by id; the cursor is (created_at, id)."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its vectors: its own first, then those of its sentences if kept."""

    chunk: Chunk
    vectors: tuple[Vector, ...]


class KnowledgeRows(Protocol):
    """Collections, documents, chunks, and the change log that the indexes follow."""

    async def collection(self, name: CollectionName) -> Collection | None:
        """The row with its counts as committed."""

    async def lock_collection(self, name: CollectionName) -> Collection | None:
        """The row, held until the transaction ends: writers of one collection take turns."""

    async def collections(self, limit: int, after: Cursor | None) -> Sequence[Collection]:
        """In order of name; the cursor is (name, name). Under EVERY_TENANT all: (name, tenant)."""

    def insert_collection(self, collection: Collection) -> None:
        """A new row; StoreConflict where the name is taken."""

    def delete_collection(self, name: CollectionName) -> None:
        """Delete it with its documents, chunks and change log."""

    async def document(self, collection: CollectionName, id: DocumentId) -> Document | None:
        """One document."""

    async def documents(
        self, collection: CollectionName, limit: int, after: Cursor | None
    ) -> Sequence[Document]:
        """In order of uri; the cursor is (uri, id)."""

    async def documents_by_uri(
        self, collection: CollectionName, uris: Sequence[str]
    ) -> Mapping[str, Document]:
        """Those of the named documents that exist."""

    async def chunk_ids(
        self, collection: CollectionName, document: DocumentId
    ) -> Sequence[ChunkId]:
        """The document's chunks in order."""

    def put_document(
        self,
        collection: CollectionName,
        document: Document,
        chunks: Sequence[StoredChunk],
        position: Position,
    ) -> None:
        """Write or replace a document with all its chunks as the change at `position`.

        The collection's position becomes `position`, its counts follow. StoreConflict where the
        collection is not there, or the uri or the position is taken.
        """

    def delete_document(
        self, collection: CollectionName, document: DocumentId, position: Position
    ) -> None:
        """Delete it with its chunks, as the change at `position`."""

    async def chunks(
        self, collection: CollectionName, ids: Sequence[ChunkId]
    ) -> Mapping[ChunkId, tuple[StoredChunk, Document]]:
        """The chunks that exist, each with its document."""

    async def changes(
        self, collection: CollectionName, after: Position, limit: int
    ) -> Sequence[IndexChange]:
        """The log after a position, in order. What a later change took away again may lack."""


class ApiKeyRows(Protocol):
    """API keys: only their digests are kept."""

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, whatever its tenant; needs the scope EVERY_TENANT."""

    async def list(self) -> Sequence[ApiKey]:
        """The scope's keys, oldest first."""

    def insert(self, key: ApiKey) -> None:
        """A new key; StoreConflict where the digest is taken."""

    def revoke(self, key: ApiKeyId, at: datetime) -> None:
        """It opens nothing any more. Idempotent."""


class Transaction(Protocol):
    """One unit of work, or one snapshot to read from."""

    @property
    def now(self) -> datetime:
        """The store's time at the transaction's start, aware, UTC."""

    @property
    def turns(self) -> TurnRows:
        """The turns' own rows."""

    @property
    def idempotency(self) -> IdempotencyRows:
        """Which turn a request id stands for."""

    @property
    def events(self) -> EventRows:
        """The turn log."""

    @property
    def readers(self) -> ReaderRows:
        """Who reads a turn that runs elsewhere."""

    @property
    def spending(self) -> SpendingRows:
        """Attempts, the ledger, execution records."""

    @property
    def conversations(self) -> ConversationRows:
        """Conversations and their messages."""

    @property
    def knowledge(self) -> KnowledgeRows:
        """Collections, documents, chunks, change logs."""

    @property
    def api_keys(self) -> ApiKeyRows:
        """Who gets in."""


class State(Protocol):
    """Opens transactions. A row of another tenant does not exist within a tenant's scope.

    To update, delete or revoke what is not there changes nothing. A row of another tenant than
    the scope's, or a method that needs one tenant under EVERY_TENANT, is a ValueError; so is
    `api_keys.find` within a tenant's scope. Using a transaction after its block is a
    RuntimeError, and so is a write through a snapshot.
    """

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
        """Committed when the block ends, durable by the setting; undone when it raises.

        Transactions are serial in effect. Several that wait together may share one commit; one
        that fails does not touch its neighbours. Raises StoreConflict, StoreUnavailable. A
        cancel while the commit is under way leaves its outcome unknown. Keep it short: never
        await anything but the store inside.
        """

    def snapshot(self, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
        """Reads of one moment, that of the first of them. Doesn't wait for writers."""

    async def close(self) -> None:
        """Finish what is under way, then let go. Idempotent."""
