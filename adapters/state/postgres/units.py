"""The blocks of `async with`: a transaction, and a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import TracebackType

from adapters.state.postgres.clock import ServerClock
from adapters.state.postgres.failures import PREFIX, BatchFailed, Undecided, unavailable
from adapters.state.postgres.link import Call, Link, Rows
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.pool import ROLLBACK, Pool
from adapters.state.postgres.session import PostgresSession
from adapters.state.postgres.transaction import PostgresTransaction
from core.ports.state import Scope, StoreUnavailable

_TRIES = 4
"""Of what was undone for the sake of others, before anything was decided."""

_BEGIN = Call("BEGIN", ())
_BEGIN_SNAPSHOT = Call("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
_COMMIT = Call("COMMIT", ())
_SCOPE_AND_TIME = (
    "SELECT set_config('colonnade.tenant', $1, true), "
    "set_config('colonnade.every_tenant', $2, true), "
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
)


def opening(scope: Scope, *, writable: bool) -> list[Call]:
    """What comes before a block's first statement: for the scope's tenant alone or, said
    expressly, for all.
    """
    values = (scope, "off") if isinstance(scope, str) else ("", "on")
    return [_BEGIN if writable else _BEGIN_SNAPSHOT, Call(_SCOPE_AND_TIME, values)]


class Block(AbstractAsyncContextManager[PostgresTransaction]):
    """A transaction or snapshot. The first failure undoes it all.

    It takes a connection at its first statement, and begins in the same round trip.
    """

    def __init__(
        self,
        pool: Pool,
        clock: ServerClock,
        scope: Scope,
        options: PostgresOptions,
        *,
        writable: bool,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._patience = options.acquire_timeout
        self._writable = writable
        self._opening = opening(scope, writable=writable)
        self._session = PostgresSession(self, scope, writable=writable)
        self._alone = asyncio.Lock()
        self._link: Link | None = None
        self._now: datetime | None = None
        self._failure: Exception | None = None
        self._has_read = False

    @property
    def now(self) -> datetime:
        """The server's time as the block began, or as its first user asks for it."""
        if self._now is None:
            self._now = self._clock.now()
        return self._now

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
        if not self._clock.is_known:
            await self._once([])
        return PostgresTransaction(self._session, self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()
        try:
            if error is None:
                await self._end()
        except BaseException:
            await self._undo()
            raise
        if error is not None:
            await self._undo()

    async def _end(self) -> None:
        """Send what is left along with the commit. Who only read does not wait for the end."""
        rest = await self._session.rest()
        async with self._alone:
            if self._failure is not None:
                raise self._failure
            if self._session.has_written:
                await self._until_decided([*rest, _COMMIT])
                if self._link is not None:
                    self._pool.release(self._link)
            elif self._link is not None:
                self._pool.release_after(self._link, ROLLBACK)

    async def _undo(self) -> None:
        if self._link is not None:
            await self._pool.undo(self._link)

    async def _until_decided(self, calls: Sequence[Call]) -> list[Rows]:
        """Run the calls; again where they were undone before the caller had been told anything."""
        for _ in range(_TRIES):
            try:
                return await self._once(calls)
            except Undecided as undone:
                if self._has_read:
                    self.fail(undone)
                    raise
            if self._link is not None:
                await self._pool.undo(self._link)
                self._link = None
        crowded = Undecided(PREFIX + "others change the same rows all the time")
        self.fail(crowded)
        raise crowded

    async def _once(self, calls: Sequence[Call]) -> list[Rows]:
        if self._failure is not None:
            raise self._failure
        try:
            if self._link is None:
                return await self._begin(calls)
            return await self._link.run(calls)
        except BatchFailed as failed:
            error = failed.error
            if not isinstance(error, Undecided):
                self.fail(error)
            if isinstance(error, StoreUnavailable) and _COMMIT in calls:
                error.outcome_known = failed.answered
            raise error from None
        except BaseException as error:
            # What came along may be lost: nothing may be committed without it.
            gone = unavailable("a wait within it was cancelled")
            self.fail(error if isinstance(error, StoreUnavailable) else gone)
            raise

    async def _begin(self, calls: Sequence[Call]) -> list[Rows]:
        """Begin and run the calls; with another connection where one turns out to be dead."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            self._link = await self._pool.acquire()
            sent = self._clock.sent()
            try:
                answers = await self._link.run([*self._opening, *calls])
            except BatchFailed as failed:
                may_be_done = not failed.answered and _COMMIT in calls
                if may_be_done or not self._link.is_dead or loop.time() >= deadline:
                    raise
            else:
                began = self._clock.told(answers[1][0][-1], sent)
                self._now = self._now or began
                return answers[2:]
