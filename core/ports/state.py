"""The state of record: one unit of work, committed together or not at all.

Reads are awaited. Writes are plain calls: they are recorded in order and reach the store before
the next read of the same transaction and at its end, so that a group of writes costs one hop.
What the store refuses (a unique key that is taken) is therefore raised by the next read or by
leaving the block, as StoreConflict, and nothing of the transaction remains.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import Enum
from typing import Protocol

from core.errors import Conflict, Unavailable
from core.identifiers import TenantId
from core.ports.api_key_rows import ApiKeyRows
from core.ports.budget_rows import BudgetRows
from core.ports.cache_rows import CacheRows
from core.ports.conversation_rows import ConversationRows
from core.ports.knowledge_rows import KnowledgeRows
from core.ports.spending_rows import SpendingRows
from core.ports.turn_rows import EventRows, IdempotencyRows, ReaderRows, TurnRows


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
    def budgets(self) -> BudgetRows:
        """What may still be spent."""

    @property
    def cached(self) -> CacheRows:
        """What may be given again."""

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
