"""The state in memory: the port's semantics, and faults at the turn of a switch.

state = FakeState()
state.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
async with state.transaction(TenantId("acme")) as tx: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from core.ports.state import Scope
from fakes.state_budgets import FakeBudgetRows
from fakes.state_cached import FakeCacheRows
from fakes.state_conversations import FakeApiKeyRows, FakeConversationRows
from fakes.state_faults import CommitFault, Faults, unavailable
from fakes.state_knowledge import FakeKnowledgeRows
from fakes.state_spending import FakeSpendingRows
from fakes.state_tables import Tables, View
from fakes.state_turn_log import FakeEventRows, FakeIdempotencyRows, FakeReaderRows
from fakes.state_turns import FakeTurnRows

__all__ = ["CommitFault", "FakeState", "FakeTransaction", "Faults"]


def _system_time() -> datetime:
    return datetime.now(UTC)


class _Unit(View):
    """A view whose first contact with the store waits for its turn."""

    def __init__(self, state: FakeState, scope: Scope, *, writable: bool) -> None:
        super().__init__(scope, lambda: state.tables, writable=writable)
        self._state = state
        self.holds_lock = False

    async def read(self) -> Tables:
        await self.reach()
        return await super().read()

    async def reach(self) -> None:
        """Take the lock that makes transactions serial; a snapshot needs none."""
        if self._writable and not self.holds_lock and not self._closed:
            await self._state.lock.acquire()
            self.holds_lock = True
        self._state.require_open()

    @property
    def has_writes(self) -> bool:
        """Whether there is something to commit, or a refusal to report."""
        return bool(self.touched)


class FakeTransaction:
    """One unit of work on the in-memory rows."""

    def __init__(self, view: View, now: datetime) -> None:
        self.now = now
        self.turns = FakeTurnRows(view)
        self.idempotency = FakeIdempotencyRows(view)
        self.events = FakeEventRows(view)
        self.readers = FakeReaderRows(view)
        self.spending = FakeSpendingRows(view)
        self.budgets = FakeBudgetRows(view)
        self.cached = FakeCacheRows(view)
        self.conversations = FakeConversationRows(view)
        self.knowledge = FakeKnowledgeRows(view)
        self.api_keys = FakeApiKeyRows(view)


class FakeState:
    """Transactions are serial; a snapshot keeps the rows as they were at its first read.

    `commits` counts those that took effect.
    """

    def __init__(self, now: Callable[[], datetime] = _system_time) -> None:
        self.tables = Tables()
        self.faults = Faults()
        self.lock = asyncio.Lock()
        self.commits = 0
        self._now = now
        self._closed = False

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[FakeTransaction]:
        """See core.ports.state.State."""
        unit = _Unit(self, scope, writable=True)
        try:
            yield FakeTransaction(unit, self._now())
            if unit.has_writes:
                await self._commit(unit)
        finally:
            unit.close()
            if unit.holds_lock:
                self.lock.release()

    @asynccontextmanager
    async def snapshot(self, scope: Scope) -> AsyncIterator[FakeTransaction]:
        """See core.ports.state.State."""
        unit = _Unit(self, scope, writable=False)
        try:
            yield FakeTransaction(unit, self._now())
        finally:
            unit.close()

    async def close(self) -> None:
        """Wait for the transaction that is under way; later ones are refused."""
        async with self.lock:
            self._closed = True

    def require_open(self) -> None:
        """StoreUnavailable where the store is closed or away."""
        if self._closed:
            raise unavailable("the store is closed")
        self.faults.require_present()

    async def _commit(self, unit: _Unit) -> None:
        await unit.reach()
        await asyncio.sleep(0)
        tables = unit.flushed()
        fault = await self.faults.before_commit(unit.touched)
        if fault is None or fault is CommitFault.REPLY_LOST:
            self.tables = tables
            self.commits += 1
            await asyncio.sleep(0)  # the reply travels, and may meet nobody
        if fault is not None:
            known = fault is CommitFault.REFUSED
            raise unavailable("the commit failed", outcome_known=known)
