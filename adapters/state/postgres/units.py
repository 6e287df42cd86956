"""The blocks of `async with`: a transaction, and a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from adapters.state.encoding.values import time_of
from adapters.state.postgres.failures import PREFIX, BatchFailed, Undecided, unavailable
from adapters.state.postgres.link import Call, Link, Rows
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.pool import ROLLBACK, Pool
from adapters.state.postgres.session import PostgresSession
from adapters.state.postgres.transaction import PostgresTransaction
from adapters.state.postgres.values import quoted_literal
from core.ports.state import Scope, StoreUnavailable

_TRIES = 4
"""Of what was undone for the sake of others, before anything was decided."""

_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_BEGIN = Call("BEGIN", ())
_COMMIT = Call("COMMIT", ())
_SCOPE_AND_TIME = (
    "SELECT set_config('colonnade.tenant', $1, true), "
    f"set_config('colonnade.every_tenant', $2, true), {_CLOCK}"
)
_TIME = Call(f"SELECT {_CLOCK}", ())
_BEGIN_SNAPSHOT = Call("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())


@dataclass(frozen=True, slots=True)
class Opening:
    """What begins a block: `calls`, of which the first `apart` are no part of it yet.

    `clock` is the place of the one that answers with the store's time.
    """

    calls: list[Call]
    apart: int
    clock: int

    def time(self, answers: Sequence[Rows]) -> datetime:
        """The store's time among the answers."""
        return time_of(answers[self.clock][0][-1])


def transaction_opening(scope: Scope) -> Opening:
    """READ COMMITTED, for the scope's tenant alone or, said expressly, for all."""
    values = (scope, "off") if isinstance(scope, str) else ("", "on")
    return Opening([_BEGIN, Call(_SCOPE_AND_TIME, values)], 0, 1)


def snapshot_opening(scope: Scope) -> Opening:
    """The same for reading. A query would fix the moment already: none comes before the first."""
    name, value = ("tenant", scope) if isinstance(scope, str) else ("every_tenant", "on")
    whose = Call(f"SET LOCAL colonnade.{name} = {quoted_literal(value)}", once=True)
    return Opening([_TIME, _BEGIN_SNAPSHOT, whose], 1, 0)


class Block(AbstractAsyncContextManager[PostgresTransaction]):
    """A connection from the first statement to the last. The first failure undoes it all."""

    def __init__(
        self, pool: Pool, scope: Scope, options: PostgresOptions, *, writable: bool
    ) -> None:
        self._pool = pool
        self._options = options
        self._opening = transaction_opening(scope) if writable else snapshot_opening(scope)
        self._session = PostgresSession(self, scope, writable=writable)
        self._alone = asyncio.Lock()
        self._failure: Exception | None = None
        self._has_read = False
        self._link: Link

    async def run(self, calls: Sequence[Call]) -> list[Rows]:
        """See session.Unit."""
        async with self._alone:  # reads that are awaited together go one after the other
            answers = await self._until_decided(calls)
        self._has_read = True
        return answers

    def fail(self, error: Exception) -> None:
        """See session.Unit."""
        self._failure = self._failure or error

    async def __aenter__(self) -> PostgresTransaction:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.acquire_timeout
        while True:
            self._link = await self._pool.acquire()
            try:
                answers = await self._link.run(self._opening.calls, apart=self._opening.apart)
            except BatchFailed as failed:
                await self._pool.undo(self._link)
                if not self._link.is_dead or loop.time() >= deadline:
                    raise failed.error from None
            except BaseException:
                await self._pool.undo(self._link)
                raise
            else:
                now = self._options.now
                time = now() if now is not None else self._opening.time(answers)
                return PostgresTransaction(self._session, time)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()
        try:
            if error is None:
                await self._commit()
                self._pool.release(self._link)
        except BaseException:
            await self._pool.undo(self._link)
            raise
        if error is not None:
            await self._pool.undo(self._link)

    async def _commit(self) -> None:
        """Send what is left along with the commit."""
        rest = await self._session.rest()
        async with self._alone:
            await self._until_decided([*rest, _COMMIT])

    async def _until_decided(self, calls: Sequence[Call]) -> list[Rows]:
        """Run the calls; again where they were undone before the caller had been told anything."""
        for _ in range(_TRIES):
            try:
                return await self._once(calls)
            except Undecided as undone:
                if self._has_read:
                    self.fail(undone)
                    raise
            await self._once([ROLLBACK, *self._opening.calls])
        crowded = Undecided(PREFIX + "others change the same rows all the time")
        self.fail(crowded)
        raise crowded

    async def _once(self, calls: Sequence[Call]) -> list[Rows]:
        if self._failure is not None:
            raise self._failure
        try:
            return await self._link.run(calls)
        except BatchFailed as failed:
            error = failed.error
            if not isinstance(error, Undecided):
                self.fail(error)
            if isinstance(error, StoreUnavailable) and calls[-1] is _COMMIT:
                error.outcome_known = failed.answered
            raise error from None
        except BaseException:
            # What came along may be lost: nothing may be committed without it.
            self.fail(unavailable("a wait within it was cancelled"))
            raise
