"""Any store, with the faults of the fake one at the turn of a switch, and a process's death.

state = FaultyState(await open_sqlite(options))
state.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.ports.state import Scope, State, Transaction
from fakes.state_faults import CommitFault, Faults, unavailable

_READS = frozenset(
    "get lock busy any_busy running due to_wake to_forget to_compact list find read live of "
    "attempts lines execution message branch messages".split()
)
_TABLE_OF = {"begin": "attempts", "book": "ledger", "record": "executions"}
"""The tables that the rows of spending write, by method; `update` is of attempts too."""


class _Rows:
    """One kind of rows, noting which table is written."""

    def __init__(self, rows: object, kind: str, touched: set[str]) -> None:
        self._rows = rows
        self._kind = kind
        self._touched = touched

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._rows, name)
        if name not in _READS:
            table = _TABLE_OF.get(name, "attempts") if self._kind == "spending" else self._kind
            self._touched.add(table)
        return method


class _Watched:
    """A transaction that knows which tables it writes."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.touched: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tx, name)
        return value if name == "now" else _Rows(value, name, self.touched)


class FaultyState:
    """See core.ports.state.State. A process that is `dead` reaches nothing any more, and one that
    is stopped comes to the end of what it does with the store only when it goes on."""

    def __init__(self, state: State) -> None:
        self.inner = state
        self.faults = Faults()
        self.dead = False
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
            watched: Any = _Watched(tx)
            yield watched
            await self._live()
            if watched.touched:
                fault = await self.faults.before_commit(watched.touched)
            if fault in (CommitFault.REFUSED, CommitFault.LOST):
                raise unavailable("lost", outcome_known=fault is CommitFault.REFUSED)
        await self._pass()
        if fault is CommitFault.REPLY_LOST:
            raise unavailable("the reply was lost", outcome_known=False)

    @asynccontextmanager
    async def snapshot(self, scope: Scope) -> AsyncIterator[Transaction]:
        await self._pass()
        async with self.inner.snapshot(scope) as view:
            yield view
        await self._pass()

    async def close(self) -> None:
        pass

    async def _pass(self) -> None:
        await self._live()
        self.faults.require_present()

    async def _live(self) -> None:
        await self._going.wait()
        if self.dead:
            raise asyncio.CancelledError
