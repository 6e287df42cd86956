"""The blocks of `async with`: a transaction, and a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from adapters.state.postgres.clock import ServerClock
from adapters.state.postgres.doors import Doors
from adapters.state.postgres.failures import PREFIX, BatchFailed, Undecided, unavailable
from adapters.state.postgres.link import Call, Link, Rows
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.pool import ROLLBACK, Pool
from adapters.state.postgres.rounds import Apart, Rounds
from adapters.state.postgres.scopes import BEGIN, BEGIN_SNAPSHOT, COMMIT, scope_and_time
from adapters.state.postgres.session import PostgresSession
from adapters.state.postgres.transaction import PostgresTransaction
from core.ports.state import Scope, StoreUnavailable

_TRIES = 4
"""Of what was undone for the sake of others, before anything was decided."""

_MOST_SHARED = 64
"""Rows of a transaction that shares a commit: more would make the others wait for it."""


@dataclass(frozen=True, slots=True)
class House:
    """What all blocks of a store share."""

    pool: Pool
    rounds: Rounds
    clock: ServerClock
    doors: Doors
    options: PostgresOptions


class Block(AbstractAsyncContextManager[PostgresTransaction]):
    """A transaction or snapshot. The first failure undoes it all.

    It takes a connection with its first statement that needs one of its own, and begins in the
    same round trip. Until then it shares those of others: see rounds.
    """

    def __init__(self, house: House, scope: Scope, *, writable: bool) -> None:
        self._house = house
        self._scope = scope
        self._writable = writable
        self._session = PostgresSession(self, scope, writable=writable)
        self._alone = asyncio.Lock()
        self._is_inside = False
        self._link: Link | None = None
        self._now: datetime | None = None
        self._failure: Exception | None = None
        self._has_read = False

    @property
    def now(self) -> datetime:
        """The server's time as the block began, or as its first user asks for it."""
        if self._now is None:
            self._now = self._house.clock.now()
        return self._now

    async def run(self, calls: Sequence[Call], *, shareable: bool) -> list[Rows]:
        """See session.Unit."""
        async with self._alone:  # reads that are awaited together go one after the other
            if shareable and self._link is None and self._writable:
                return await self._shared_read(calls)
            answers = await self._until_decided(calls)
            self._has_read = True
            return answers

    def fail(self, error: Exception) -> None:
        """See session.Unit."""
        self._failure = self._failure or error

    async def __aenter__(self) -> PostgresTransaction:
        if not self._house.clock.is_known:
            await self._ask_the_time()
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
        finally:
            await self._leave()

    async def _ask_the_time(self) -> None:
        """Of the server; what fails here is not followed by the end of the block."""
        try:
            await self._shared_read([])
        except BaseException:
            await self._leave()
            raise

    async def _leave(self) -> None:
        """Leave nothing behind."""
        try:
            await self._undo()
        finally:
            if self._is_inside:
                self._is_inside = False
                self._house.doors.leave()

    async def _end(self) -> None:
        """Send what is left along with the commit. Who only read does not wait for the end."""
        rest = await self._session.rest()
        async with self._alone:
            if self._failure is not None:
                raise self._failure
            if self._session.has_written:
                await self._commit(rest)
            elif self._link is not None:
                link, self._link = self._link, None
                self._house.pool.release_after(link, ROLLBACK)

    async def _commit(self, rest: Sequence[Call]) -> None:
        rows = sum(len(call.rows) for call in rest)
        if self._link is None and rows <= _MOST_SHARED and await self._shared_commit(rest):
            return
        await self._until_decided([*rest, COMMIT])
        if self._link is not None:
            link, self._link = self._link, None
            self._house.pool.release(link)

    async def _shared_read(self, calls: Sequence[Call]) -> list[Rows]:
        """Read along with others, or else alone."""
        self._enter()
        try:
            time, answers = await self._house.rounds.read(self._scope, calls)
        except (Apart, BatchFailed):
            return await self._until_decided(calls)
        self._now = self._now or time
        return answers

    async def _shared_commit(self, rest: Sequence[Call]) -> bool:
        """Commit along with others; False where that was not to be, and nothing was done."""
        self._enter()
        try:
            await self._house.rounds.commit(self._scope, rest)
        except Apart:
            return False
        except BatchFailed as lost:
            raise self._lost(lost, in_doubt=True) from None
        return True

    def _enter(self) -> None:
        """Be counted among those that a closing store waits for. Raises what failed before."""
        if self._failure is not None:
            raise self._failure
        if not self._is_inside:
            self._house.doors.enter()
            self._is_inside = True

    async def _undo(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            await self._house.pool.undo(link)

    async def _until_decided(self, calls: Sequence[Call]) -> list[Rows]:
        """Run the calls; again where they were undone before the caller had been told anything."""
        for _ in range(_TRIES):
            try:
                return await self._once(calls)
            except Undecided as undone:
                if self._has_read:
                    self.fail(undone)
                    raise
            await self._undo()
        crowded = Undecided(PREFIX + "others change the same rows all the time")
        self.fail(crowded)
        raise crowded

    async def _once(self, calls: Sequence[Call]) -> list[Rows]:
        self._enter()
        try:
            if self._link is None:
                return await self._begin(calls)
            return await self._link.run(calls)
        except BatchFailed as failed:
            raise self._lost(failed, in_doubt=COMMIT in calls) from None
        except BaseException as error:
            # What came along may be lost: nothing may be committed without it.
            gone = unavailable("a wait within it was cancelled")
            self.fail(error if isinstance(error, StoreUnavailable) else gone)
            raise

    def _lost(self, failed: BatchFailed, *, in_doubt: bool) -> Exception:
        """What to raise, and to raise again whatever is asked next."""
        error = failed.error
        if isinstance(error, StoreUnavailable) and in_doubt:
            error.outcome_known = failed.answered
        if not isinstance(error, Undecided):
            self.fail(error)
        return error

    async def _begin(self, calls: Sequence[Call]) -> list[Rows]:
        """Begin and run the calls; with another connection where one turns out to be dead."""
        loop, house = asyncio.get_running_loop(), self._house
        deadline = loop.time() + house.options.acquire_timeout
        opening = [BEGIN if self._writable else BEGIN_SNAPSHOT, scope_and_time(self._scope)]
        while True:
            self._link = await house.pool.acquire()
            sent = house.clock.sent()
            try:
                answers = await self._link.run([*opening, *calls])
            except BatchFailed as failed:
                may_be_done = not failed.answered and COMMIT in calls
                if may_be_done or not self._link.is_dead or loop.time() >= deadline:
                    raise
            else:
                began = house.clock.told(answers[1][0][-1], sent)
                self._now = self._now or began
                return answers[2:]
