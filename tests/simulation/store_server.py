"""The store's own side: rows, row locks, commits. It lives on while replicas die and sleep.

READ COMMITTED as PostgreSQL has it: each read sees what is committed when it runs, with the own
writes on top; a written or locked row is held until the transaction ends; who wants a unique key
that another is about to take waits for that one's end. With `serial`, one writer at a time, as
SQLite has it: the lock of the whole store comes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.ports.state import StoreConflict, StoreUnavailable
from simulation.loop import Actor, Handle, SeededLoop

Key = tuple[str, Hashable]
"""A table and the key of a row in it; also what is locked."""
Rows = Mapping[Hashable, Any]
Changes = dict[str, dict[Hashable, Any]]
"""Table, key, new row; None is a deletion."""

WHOLE_STORE: Key = ("store", "writer")
STATEMENT_S = 2.0
IDLE_S = 3.0
TABLES = (
    "turns",
    "idempotency",
    "events",
    "readers",
    "attempts",
    "ledger",
    "executions",
    "conversations",
    "messages",
)


def unavailable(message: str, *, outcome_known: bool = True) -> StoreUnavailable:
    """The error of a store that failed."""
    error = StoreUnavailable(message)
    error.outcome_known = outcome_known
    return error


@dataclass(slots=True, eq=False)
class Unit:
    """One transaction as the store knows it."""

    boot: str
    actor: Actor
    own: Changes = field(default_factory=dict)
    held: list[Key] = field(default_factory=list)
    holds_since: float | None = None
    over: bool = False
    committing: bool = False
    idle: Handle | None = None
    reply: asyncio.Future[Any] | None = None


Statement = Generator[list[Key], None, object]
"""What a request does at the store: it names rows to lock, goes on when it has them, and returns
the answer, or LATER where somebody else will give it."""
LATER = object()


@dataclass(slots=True, eq=False)
class Job:
    """One request of a transaction, on its way through the locks that it needs."""

    unit: Unit
    statement: Statement
    reply: asyncio.Future[Any]
    keys: list[Key] = field(default_factory=list)
    timer: Handle | None = None

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


class Server:
    """Committed rows and who holds what."""

    def __init__(self, loop: SeededLoop, *, serial: bool) -> None:
        self.actor = loop.actor("store")
        self.tables: dict[str, Rows] = {name: {} for name in TABLES}
        self.serial = serial
        self.commits = 0
        self.lock_timeouts = 0
        self.on_commit: Callable[[Unit, dict[str, Rows], Changes], None] = lambda *_: None
        self._loop = loop
        self._holders: dict[Key, Unit] = {}
        self._waiting: dict[Key, deque[Job]] = {}
        self._open: dict[Unit, None] = {}

    def later(self, seconds: float, do: Callable[..., object], *args: object) -> Handle:
        """Something that the store does of its own, whatever becomes of the replicas."""
        return self._loop.call_later(seconds, do, *args, context=self.actor.context)

    def view(self, unit: Unit, table: str) -> Rows:
        """The table as the transaction sees it now."""
        own = unit.own.get(table)
        if not own:
            return self.tables[table]
        return {k: row for k, row in {**self.tables[table], **own}.items() if row is not None}

    def is_free(self, key: Key, unit: Unit) -> bool:
        """Whether the transaction need not wait for this row."""
        return self._holders.get(key, unit) is unit

    def expect(self, job: Job) -> None:
        """A request is on its way here."""
        if not job.unit.over:
            job.unit.reply = job.reply
            self._open[job.unit] = None

    def proceed(self, job: Job) -> None:
        """Go on with a request until it waits for a lock, or is answered."""
        unit = job.unit
        if unit.over:
            return job.fail(unavailable("the connection was lost"))
        while True:
            if not self._has_all(job):
                return None
            try:
                job.keys = next(job.statement)
            except StopIteration as end:
                return self._answer(job, end.value)
            except StoreConflict as conflict:
                self.end(unit)
                return job.fail(conflict)

    def commit(self, unit: Unit) -> None:
        """Make the transaction's writes everyone's, and let go of its locks."""
        if unit.over:
            return
        before = self.tables
        changed = {
            table: {k: row for k, row in {**before[table], **rows}.items() if row is not None}
            for table, rows in unit.own.items()
        }
        self.tables = {**before, **changed}
        self.commits += 1
        self.on_commit(unit, before, unit.own)
        self.end(unit)

    def end(self, unit: Unit) -> None:
        """The transaction is over; whoever waited for its locks goes on."""
        if unit.over:
            return
        unit.over = True
        if unit.idle is not None:
            unit.idle.cancel()
        self._open.pop(unit, None)
        for key in unit.held:
            del self._holders[key]
        for key in unit.held:
            for job in self._waiting.pop(key, ()):
                self.proceed(job)

    def disconnect(self, boot: str | None = None) -> None:
        """Connections (of one replica) break: what is not about to commit is rolled back."""
        for unit in list(self._open):
            if (boot is None or unit.boot == boot) and not unit.committing:
                self.end(unit)
                if unit.reply is not None and not unit.reply.done():
                    unit.reply.set_exception(unavailable("the connection was lost"))

    def is_at_work_for(self, boot: str) -> bool:
        """Whether a replica is in the middle of a transaction that others may wait for."""
        return any(unit.boot == boot for unit in self._open)

    def _has_all(self, job: Job) -> bool:
        """Take the locks that are free, in order; else wait for the first that is not."""
        unit = job.unit
        while job.keys:
            key = job.keys[0]
            holder = self._holders.get(key)
            if holder is None:
                self._holders[key] = unit
                unit.held.append(key)
                if unit.holds_since is None:
                    unit.holds_since = self._loop.time()
            elif holder is not unit:
                self._waiting.setdefault(key, deque()).append(job)
                if job.timer is None:
                    job.timer = self.later(STATEMENT_S, self._give_up, job)
                return False
            job.keys.pop(0)
        return True

    def _answer(self, job: Job, result: object) -> None:
        if job.timer is not None:
            job.timer.cancel()
        if result is not LATER:
            if not job.reply.done():
                job.reply.set_result(result)
            self._watch(job.unit)

    def _give_up(self, job: Job) -> None:
        """A lock that does not come within the statement's time: so deadlocks end, too."""
        if job.reply.done():
            return
        self.lock_timeouts += 1
        self.end(job.unit)
        job.fail(unavailable("a lock was not given in time"))

    def _watch(self, unit: Unit) -> None:
        """A transaction whose replica does nothing more is rolled back after a while."""
        if unit.held and not unit.over:
            if unit.idle is not None:
                unit.idle.cancel()
            unit.idle = self.later(IDLE_S, self.end, unit)
