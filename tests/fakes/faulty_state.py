"""Any store, with the faults of the fake one at the turn of a switch, and a process's death.

state = FaultyState(await open_sqlite(options))
state.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from adapters.state.failures import StoreFull
from core.ports.state import Scope, State, Transaction
from fakes.state_faults import CommitFault, Faults, unavailable

_READS = frozenset(
    "get lock busy any_busy running due to_wake to_forget to_compact list find find_all heads read "
    "live of attempts lines execution message branch messages replace tell alerts held "
    "booked sweep".split()
)
_TABLE_OF = {"begin": "attempts", "book": "ledger", "record": "executions"}
"""The tables that the rows of spending write, by method; `update` is of attempts too."""


BeforeRead = Callable[[str], Awaitable[None]]
"""Awaited before each read, which is named as `events.read`."""
AfterCommit = Callable[[frozenset[str]], None]
"""Told the tables that a commit has written, before its caller is."""


class _Rows:
    """One kind of rows, noting which table is written."""

    def __init__(self, rows: object, kind: str, touched: set[str], before: BeforeRead) -> None:
        self._rows = rows
        self._kind = kind
        self._touched = touched
        self._before = before

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._rows, name)
        if name in _READS:
            return self._reading(name, method)
        table = _TABLE_OF.get(name, "attempts") if self._kind == "spending" else self._kind
        self._touched.add(table)
        return method

    def _reading(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def read(*args: Any, **kwargs: Any) -> Any:
            await self._before(f"{self._kind}.{name}")
            return await method(*args, **kwargs)

        return read


class _Watched:
    """A transaction that knows which tables it writes."""

    def __init__(self, tx: Transaction, before: BeforeRead) -> None:
        self._tx = tx
        self._before = before
        self.touched: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tx, name)
        return value if name == "now" else _Rows(value, name, self.touched, self._before)


class FaultyState:
    """See core.ports.state.State, and what may go wrong with it for one process.

    `dead`: it reaches nothing any more. `full`: the store's disk is, so that it can only be read.
    One that was stopped comes to the end of what it does with the store once it goes on.
    """

    def __init__(self, state: State) -> None:
        self.inner = state
        self.faults = Faults()
        self.dead = False
        self.full = False
        self.before_read: BeforeRead = _nothing_before
        self.after_commit: AfterCommit = _nothing_after
        self._going = asyncio.Event()
        self._going.set()

    def stop(self) -> None:
        """The process is paused: SIGSTOP."""
        self._going.clear()

    def go_on(self) -> None:
        """The process goes on: SIGCONT."""
        self._going.set()

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        await self._pass()
        fault: CommitFault | None = None
        async with self.inner.transaction(scope) as tx:
            watched: Any = _Watched(tx, self.before_read)
            yield watched
            self._check()  # what is open goes through: it may hold locks
            if watched.touched:
                fault = await self._before_commit(watched.touched)
        if watched.touched:
            self.after_commit(frozenset(watched.touched))
        await self._live()
        if fault is CommitFault.REPLY_LOST:
            raise unavailable("the reply was lost", outcome_known=False)

    @asynccontextmanager
    async def snapshot(self, scope: Scope) -> AsyncIterator[Transaction]:
        await self._pass()
        async with self.inner.snapshot(scope) as view:
            watched: Any = _Watched(view, self.before_read)
            yield watched
        await self._live()

    async def close(self) -> None:
        pass

    async def _before_commit(self, touched: set[str]) -> CommitFault | None:
        fault = await self.faults.before_commit(touched)
        if self.full:
            raise StoreFull("the store cannot be used: there is no room on its disk")
        if fault in (CommitFault.REFUSED, CommitFault.LOST):
            raise unavailable("lost", outcome_known=fault is CommitFault.REFUSED)
        return fault

    async def _pass(self) -> None:
        await self._live()
        self.faults.require_present()

    async def _live(self) -> None:
        await self._going.wait()
        self._check()

    def _check(self) -> None:
        if self.dead:
            raise asyncio.CancelledError


async def _nothing_before(_: str) -> None:
    pass


def _nothing_after(_: frozenset[str]) -> None:
    pass
