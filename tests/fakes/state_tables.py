"""What the in-memory state keeps, and one transaction's view of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from core.api_keys import ApiKey
from core.budgets.rows import AlertRow, BudgetRow
from core.conversations import Conversation
from core.errors import InvalidInput
from core.identifiers import (
    ApiKeyId,
    BootId,
    ChunkId,
    ConversationId,
    DocumentId,
    MessageId,
    Position,
    TenantId,
    TurnId,
)
from core.knowledge import Collection, CollectionKey, Document
from core.messages import StoredMessage
from core.pages import Cursor
from core.ports.cache_rows import CachedRow
from core.ports.knowledge_rows import StoredChunk
from core.ports.state import Scope, StoreConflict
from core.turns.rows import (
    Attempt,
    ExecutionRecord,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    ReaderRow,
    Turn,
)

Row = TypeVar("Row")
AlertKey = tuple[str, datetime, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Owned(Generic[Row]):
    """A row that does not name its tenant itself."""

    tenant: TenantId
    row: Row


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One entry of a collection's change log."""

    document: DocumentId
    removed: tuple[ChunkId, ...]
    added: tuple[ChunkId, ...]


@dataclass(slots=True)
class Tables:
    """Every row. What is committed is never changed in place: a commit puts a copy there."""

    turns: dict[TurnId, Turn] = field(default_factory=dict)
    idempotency: dict[IdempotencyKey, IdempotencyRecord] = field(default_factory=dict)
    events: dict[tuple[TurnId, TenantId], Owned[tuple[LoggedEvent, ...]]] = field(
        default_factory=dict
    )
    readers: dict[tuple[TurnId, BootId], ReaderRow] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    ledger: dict[tuple[str, int], LedgerLine] = field(default_factory=dict)
    executions: dict[TurnId, ExecutionRecord] = field(default_factory=dict)
    budgets: dict[str, BudgetRow] = field(default_factory=dict)
    alerts: dict[AlertKey, AlertRow] = field(default_factory=dict)
    cached: dict[tuple[TenantId, str, str], CachedRow] = field(default_factory=dict)
    conversations: dict[ConversationId, Owned[Conversation]] = field(default_factory=dict)
    messages: dict[MessageId, Owned[StoredMessage]] = field(default_factory=dict)
    collections: dict[CollectionKey, Collection] = field(default_factory=dict)
    documents: dict[tuple[CollectionKey, DocumentId], Document] = field(default_factory=dict)
    chunks: dict[tuple[CollectionKey, ChunkId], StoredChunk] = field(default_factory=dict)
    changes: dict[tuple[CollectionKey, Position], LoggedChange] = field(default_factory=dict)
    api_keys: dict[ApiKeyId, ApiKey] = field(default_factory=dict)

    def copied(self) -> Tables:
        """The same rows in dictionaries of their own."""
        return Tables(*(dict(getattr(self, each.name)) for each in fields(self)))


def admits(scope: Scope, tenant: TenantId) -> bool:
    """Whether a row of `tenant` exists within the scope."""
    return not isinstance(scope, str) or scope == tenant


def must_admit(scope: Scope, tenant: TenantId) -> None:
    """Refuse to write another tenant's row."""
    if not admits(scope, tenant):
        raise ValueError("the row belongs to another tenant than the transaction's scope")


def tenant_of(scope: Scope) -> TenantId:
    """The scope's tenant, where a method cannot do without one."""
    if not isinstance(scope, str):
        raise ValueError("this needs the scope of one tenant")
    return scope


def time_in(cursor: Cursor) -> datetime:
    """The time in a page cursor. InvalidInput where it is none."""
    try:
        at = datetime.fromisoformat(cursor.sort_key)
    except ValueError as error:
        raise InvalidInput.at("page_token", "is not a token of this list") from error
    if at.tzinfo is None:
        raise InvalidInput.at("page_token", "is not a token of this list")
    return at


class View:
    """The committed rows with one transaction's own writes on top, applied when they are due."""

    def __init__(self, scope: Scope, committed: Callable[[], Tables], *, writable: bool) -> None:
        self.scope = scope
        self.touched: set[str] = set()
        self._committed = committed
        self._writable = writable
        self._tables: Tables | None = None
        self._own = False
        self._pending: list[Callable[[Tables], None]] = []
        self._failure: StoreConflict | None = None
        self._closed = False

    def write(self, table: str, change: Callable[[Tables], None]) -> None:
        """Record a change of the table; it is made before the next read, or at the end."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        self.touched.add(table)
        self._pending.append(change)

    async def read(self) -> Tables:
        """The rows as this transaction sees them now."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        await asyncio.sleep(0)
        return self.flushed()

    def flushed(self) -> Tables:
        """The same, at once. StoreConflict where a recorded write cannot be made."""
        if self._failure is not None:
            raise self._failure
        tables = self._tables if self._tables is not None else self._committed()
        if self._pending and not self._own:
            tables, self._own = tables.copied(), True
        self._tables = tables
        pending, self._pending = self._pending, []
        try:
            for change in pending:
                change(tables)
        except StoreConflict as conflict:
            self._failure = conflict
            raise
        return tables

    def close(self) -> None:
        """Nothing may be done through this view any more."""
        self._closed = True
