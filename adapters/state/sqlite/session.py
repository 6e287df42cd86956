"""One transaction or snapshot, as the event loop sees it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

from adapters.state.sqlite.connection import Row, Value
from adapters.state.sqlite.failures import unavailable
from adapters.state.sqlite.statements import Scoped
from core.identifiers import Seconds, TenantId
from core.ports.state import Scope

Result = TypeVar("Result")
RowOf = TypeVar("RowOf")
Write = tuple[str, Sequence[Row]]
Query = Callable[[sqlite3.Connection], object]


class Step:
    """What goes to a connection's thread in one hop: writes, then a query or the end.

    Without a future nobody waits for an answer: that is how a session is given up.
    """

    __slots__ = ("ends", "future", "query", "session", "writes")

    def __init__(
        self,
        session: Session,
        writes: list[Write],
        query: Query | None,
        future: asyncio.Future[object] | None,
        ends: bool,
    ) -> None:
        self.session = session
        self.writes = writes
        self.query = query
        self.future = future
        self.ends = ends


class Desk(Protocol):
    """Where steps are handed in; a thread behind it takes them in order."""

    def open(self, step: Step) -> None:
        """A session's first step. StoreUnavailable where too many wait already, or it closed."""

    def post(self, step: Step) -> None:
        """A later step of a session that was opened."""


class Session:
    """Gathers writes, sends them with the next read or the end, and waits for the answer.

    `given_up` is set by the loop, `started` and `over` by the thread. Each is written by one
    side only, and set before the other is read, so that either side sees the other's. `backlog`
    is the thread's: steps that came while an earlier one still waited.
    """

    __slots__ = (
        "_closed",
        "_desk",
        "_reached",
        "_timeout",
        "_writable",
        "_writes",
        "backlog",
        "failure",
        "given_up",
        "over",
        "started",
        "tenant",
    )

    def __init__(self, desk: Desk, scope: Scope, timeout: Seconds, *, writable: bool) -> None:
        self.tenant: TenantId | None = scope if isinstance(scope, str) else None
        self.failure: Exception | None = None
        self.backlog: list[Step] | None = None
        self.given_up = False
        self.started = False
        self.over = False
        self._desk = desk
        self._timeout = timeout
        self._writable = writable
        self._writes: list[Write] = []
        self._reached = False
        self._closed = False

    def admit(self, tenant: TenantId) -> None:
        """Refuse to write another tenant's row."""
        if self.tenant is not None and tenant != self.tenant:
            raise ValueError("the row belongs to another tenant than the transaction's scope")

    def own_tenant(self) -> TenantId:
        """The scope's tenant, where a method cannot do without one."""
        if self.tenant is None:
            raise ValueError("this needs the scope of one tenant")
        return self.tenant

    def write(self, sql: str, *rows: Row) -> None:
        """Record a statement, to be run once for each row of values."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        if rows:
            self._writes.append((sql, rows))

    def write_scoped(self, statement: Scoped, *values: Value) -> None:
        """Record a statement that finds out by itself whether the rows are the scope's."""
        self.write(statement.of(self.tenant), (self.tenant, *values))

    async def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `query` returns, on the connection's thread, after all writes so far."""
        if self._closed:
            raise RuntimeError("the transaction is over")
        return await self._send(query, ends=False)

    async def all(
        self, decode: Callable[[RowOf], Result], statement: Scoped, *values: Value
    ) -> list[Result]:
        """Every row, decoded; the scope's tenant goes before the values."""
        sql, bound = statement.of(self.tenant), (self.tenant, *values)
        return await self.read(lambda c: [decode(row) for row in c.execute(sql, bound)])

    async def one(
        self, decode: Callable[[RowOf], Result], statement: Scoped, *values: Value
    ) -> Result | None:
        """The first row, decoded, if there is one."""
        rows = await self.all(decode, statement, *values)
        return rows[0] if rows else None

    async def finish(self) -> None:
        """Commit what was done, and return once that is so."""
        self._closed = True
        if self.failure is not None:
            raise self.failure
        if self._reached or self._writes:
            try:
                await self._send(_nothing, ends=True)
            except asyncio.CancelledError:
                self.given_up = True  # spares the work if it has not begun
                raise

    def give_up(self) -> None:
        """Undo everything; nobody waits for it."""
        self._closed = self.given_up = True
        if self._reached and not self.over:
            self._desk.post(Step(self, [], None, None, ends=True))

    async def _send(self, query: Callable[[sqlite3.Connection], Result], *, ends: bool) -> Result:
        if self.failure is not None:
            raise self.failure
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        writes, self._writes = self._writes, []
        hand_in = self._desk.post if self._reached else self._desk.open
        hand_in(Step(self, writes, query, future, ends))
        self._reached = True
        alarm = loop.call_later(self._timeout, self._expire, future, ends)
        try:
            return cast("Result", await future)  # the thread puts there what `query` returned
        except Exception as error:
            self.failure = error
            raise
        finally:
            alarm.cancel()

    def _expire(self, future: asyncio.Future[object], ends: bool) -> None:
        if future.done():
            return
        self.given_up = True
        known = not ends or not self.started
        self.failure = unavailable("it did not answer in time", outcome_known=known)
        future.set_exception(self.failure)


def _nothing(_: sqlite3.Connection) -> None:
    """The end of a transaction has no answer but that it is done."""
