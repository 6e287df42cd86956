"""The State port on the simulated store, as one replica reaches it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from core.ports.api_key_rows import ApiKeyRows
from core.ports.budget_rows import BudgetRows
from core.ports.cache_rows import CacheRows
from core.ports.knowledge_rows import KnowledgeRows
from core.ports.state import Scope, StoreConflict, StoreUnavailable
from simulation.loop import Actor, SeededLoop
from simulation.store_rows import (
    EventTable,
    IdempotencyTable,
    ReaderTable,
    SpendingTable,
    TurnTable,
    View,
)
from simulation.store_server import (
    LATER,
    STATEMENT_S,
    WHOLE_STORE,
    Job,
    Key,
    Rows,
    Server,
    Statement,
    Unit,
    unavailable,
)
from simulation.store_talks import ConversationTable

Result = TypeVar("Result")
Write = tuple[list[Key], Callable[[View], None]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CommitFault(Enum):
    """How a commit fails, as its caller is told and as it is."""

    REFUSED = "refused"
    """Not committed, and the caller knows."""
    LOST = "lost"
    """Not committed, and the caller does not know."""
    REPLY_LOST = "reply lost"
    """Committed, and the caller does not know."""
    LATE = "late"
    """Committed some time after the caller was told that nobody knows."""


@dataclass(slots=True)
class Latency:
    """A request's way to the store and the answer's, in seconds; now and then much longer."""

    usual: float = 0.001
    spread: float = 0.004
    spike: float = 0.0
    spike_rate: float = 0.0


class SimulatedStore:
    """What all replicas share, and what goes wrong with it.

    `fault_for` is asked at each commit how it is to fail.
    """

    def __init__(
        self, loop: SeededLoop, draw: random.Random, *, serial: bool, latency: Latency
    ) -> None:
        self.server = Server(loop, serial=serial)
        self.away: set[str] = set()
        """Boots that cannot reach the store now; "" is everyone."""
        self.away_since: dict[str, float] = {}
        self.hangs = False
        """While away: whether a request hangs until its time is up, or is refused at once."""
        self.full = False
        self.slow = 0.0
        self.offset = 0.0
        """How far its clock has been moved on, in seconds."""
        self.on_fault: Callable[[Unit, CommitFault, float], None] = lambda *_: None
        self.fault_for: Callable[[Unit], CommitFault | None] = lambda _: None
        self.after_commit: Callable[[Unit], None] = lambda _: None
        self.loop = loop
        self._draw = draw
        self._latency = latency

    def now(self) -> datetime:
        """The store's clock, by which all times in rows are."""
        return NOON + timedelta(seconds=self.loop.time() + self.offset)

    def reached_by(self, boot: str, actor: Actor) -> ReplicaStore:
        """The store for one life of a replica."""
        return ReplicaStore(self, boot, actor)

    def is_away(self, boot: str) -> bool:
        """Whether this replica cannot reach it now."""
        return "" in self.away or boot in self.away

    def delay(self) -> float:
        """How long one request takes."""
        drawn, latency = self._draw.random(), self._latency
        if drawn < latency.spike_rate:
            return latency.spike * self._draw.random() + self.slow
        return latency.usual + latency.spread * drawn * drawn + self.slow

    def request(self, job: Job) -> None:
        """A request is on its way."""
        self.server.expect(job)
        self.server.later(self.delay(), self._arrive, job)

    def _arrive(self, job: Job) -> None:
        if self.is_away(job.unit.boot):
            self.server.end(job.unit)
            wait = STATEMENT_S if self.hangs else 0.0
            unknown = job.unit.committing
            self.server.later(
                wait, job.fail, unavailable("the store is away", outcome_known=not unknown)
            )
            return
        if job.unit.actor.dead and not job.unit.committing:
            self.server.end(job.unit)  # the connection has closed behind the request
            return
        self.server.proceed(job)

    def decide(self, unit: Unit) -> None:
        """Commit, or do what the fault of this commit says; then tell the replica."""
        reply = unit.reply
        assert reply is not None
        fault = CommitFault.REFUSED if self.full and unit.own else self.fault_for(unit)
        if fault in (None, CommitFault.REPLY_LOST):
            self.server.commit(unit)
        elif fault is not CommitFault.LATE:
            self.server.end(unit)
        if fault is None:
            if not reply.done():
                reply.set_result(None)
            self.after_commit(unit)
            return
        known = fault is CommitFault.REFUSED
        wait = 0.0 if known else self._draw.choice((0.0, 0.05, STATEMENT_S))
        if fault is CommitFault.LATE:
            late = wait + self._draw.random()
            self.server.later(late, self.server.commit, unit)
            self.on_fault(unit, fault, late)
        else:
            self.on_fault(unit, fault, wait)
        error = unavailable("the commit failed", outcome_known=known)
        self.server.later(wait, _fail, reply, error)


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)


class ReplicaStore:
    """See core.ports.state.State."""

    def __init__(self, store: SimulatedStore, boot: str, actor: Actor) -> None:
        self._store = store
        self._boot = boot
        self._actor = actor
        self.loop = store.loop

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[SimulatedTransaction]:
        tx = SimulatedTransaction(self._store, Unit(self._boot, self._actor), writable=True)
        try:
            yield tx
            await tx.commit()
        finally:
            tx.close()

    @asynccontextmanager
    async def snapshot(self, scope: Scope) -> AsyncIterator[SimulatedTransaction]:
        tx = SimulatedTransaction(self._store, Unit(self._boot, self._actor), writable=False)
        try:
            yield tx
        finally:
            tx.close()

    async def close(self) -> None:
        pass


class SimulatedTransaction:
    """One unit of work, as the replica sees it."""

    def __init__(self, store: SimulatedStore, unit: Unit, *, writable: bool) -> None:
        self.now = store.now()
        self.turns = TurnTable(self)
        self.idempotency = IdempotencyTable(self)
        self.events = EventTable(self)
        self.readers = ReaderTable(self)
        self.spending = SpendingTable(self)
        self.conversations = ConversationTable(self)
        self._store = store
        self._unit = unit
        self._writable = writable
        self._snapshot: dict[str, Rows] | None = None
        self._pending: list[Write] = []
        self._failed: Exception | None = None
        self._closed = False

    @property
    def knowledge(self) -> KnowledgeRows:
        """Documents are none of a turn's affair."""
        raise NotImplementedError

    @property
    def budgets(self) -> BudgetRows:
        """Nor is money."""
        raise NotImplementedError

    @property
    def cached(self) -> CacheRows:
        """Nor is what may be given again."""
        raise NotImplementedError

    @property
    def api_keys(self) -> ApiKeyRows:
        """Nor are keys."""
        raise NotImplementedError

    def write(self, keys: list[Key], change: Callable[[View], None]) -> None:
        """Record a write: the rows that it holds, and what it does to them."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        self._pending.append((keys, change))

    async def read(
        self, read: Callable[[View], Result], lock: Callable[[View], list[Key]] | None = None
    ) -> Result:
        """Have the store do this after the writes that were recorded; `lock` names rows."""
        if self._snapshot is not None and not self._closed:
            # The moment is fixed: what is read later is known by now.
            return read(View(self._store.server, self._unit, self._snapshot))
        statement = self._statement(read, lock) if self._writable else self._look(read)
        found: Result = await self._ask(statement)
        return found

    async def commit(self) -> None:
        """Send what is left to write, and commit."""
        if self._failed is not None:
            raise self._failed
        if self._pending or self._unit.own:
            self._unit.committing = True
            await self._ask(self._commit())

    def close(self) -> None:
        """The block is over: what was not committed is rolled back."""
        self._closed = True
        if not self._unit.committing and not self._unit.over:
            self._store.server.later(0.0, self._store.server.end, self._unit)

    async def _ask(self, statement: Statement) -> Any:
        """One round trip."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        if self._failed is not None:
            raise self._failed
        job = Job(self._unit, statement, self._store.loop.create_future())
        self._store.request(job)
        try:
            return await job.reply
        except (StoreConflict, StoreUnavailable) as error:
            self._failed = error
            raise

    def _statement(
        self, read: Callable[[View], Result], lock: Callable[[View], list[Key]] | None
    ) -> Statement:
        view = yield from self._write_pending()
        if lock is not None:
            yield lock(view)
        return read(view)

    def _commit(self) -> Statement:
        yield from self._write_pending()
        self._store.decide(self._unit)
        return LATER

    def _write_pending(self) -> Generator[list[Key], None, View]:
        pending, self._pending = self._pending, []
        server = self._store.server
        if server.serial:
            yield [WHOLE_STORE]
        view = View(server, self._unit)
        for keys, change in pending:
            yield list(keys)
            change(view)
        return view

    def _look(self, read: Callable[[View], Result]) -> Statement:
        """The read of a snapshot: it takes no locks, and sees the moment of the first."""
        yield []
        if self._snapshot is None:
            self._snapshot = self._store.server.tables
        return read(View(self._store.server, self._unit, self._snapshot))
