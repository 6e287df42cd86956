"""Attempts on record: begun before the provider is called, ended whatever came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from core.catalog import Deployment
from core.errors import Conflict
from core.identifiers import TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State, StoreUnavailable, Transaction
from core.replacing import replaced
from core.turns.fencing import Fence
from core.turns.rows import Attempt, Turn
from services.models.attempt_steps import (
    NOTHING,
    Begin,
    End,
    Ride,
    Wanted,
    is_mine,
    ride_nowhere,
)
from services.models.recording import Recorder
from services.turns.apart import apart
from services.turns.run_log import Lost
from services.turns.settlement import ledger_line
from services.turns.writing import Writing

Result = TypeVar("Result")

_PAUSES = (0.05, 0.2, 0.5, 1.0)
"""Seconds before each further try to reach a store that is away."""
_LONG_PAUSES = (*_PAUSES, *(1.0,) * 28)
"""The same where a turn waits for it, which holds its output back for as long."""

_LOST = "this run no longer has its turn; no provider is called for it"
_TO_STOP = "this turn is to stop; no provider is called for it"

Hold = Callable[[SpendingUnit], Awaitable[None]]
"""Makes sure that the unit may still spend, right before it does; raises where it may not."""


async def hold_nothing(_: SpendingUnit) -> None:
    """A Hold for those who have nothing to lose meanwhile."""


class Attempts:
    """Writes the attempts of a unit of spending. A number is never used twice."""

    def __init__(self, state: State, hold: Hold = hold_nothing, ride: Ride = ride_nowhere) -> None:
        self._state = state
        self._hold = hold
        self._ride = ride
        self._recorder = Recorder(state)
        self._late: set[asyncio.Future[None]] = set()

    async def begin(
        self,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt_tokens: int,
        max_output: int,
        *,
        fresh: bool = False,
    ) -> Attempt:
        """Record an attempt that may now be called. `fresh`: it is known to be the unit's first.

        Raises Conflict where the turn is no longer this run's, or is to stop. When a commit's
        outcome is unknown, its number is given up: what it may have written is closed as unused;
        so is an attempt whose caller is cancelled before this returns, or that `hold` refuses.
        """
        wanted = Wanted(unit, deployment, prompt_tokens, max_output, fresh)
        attempt = await self._begun(wanted)
        try:
            await self._hold(unit)
        except BaseException:
            await self._give_back(attempt, unit, deployment)
            raise
        return attempt

    async def end(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> None:
        """Write what the attempt came to. A turn books it when it is settled; others, now.

        With a turn that runs here it goes along in one of its next commits, and before its
        settlement. Raises StoreUnavailable where the store is away for more than a moment.
        """
        if not self.end_riding(attempt, unit, deployment):
            await _patiently(lambda: self._end(attempt, unit, deployment))

    def end_riding(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> bool:
        """The same where it goes along with a turn that runs here, which is waited for by nobody.

        False where there is none: then nothing was done.
        """
        step = End(attempt)
        riding = self._ride(unit, step, False)
        if riding is None:
            return False
        riding.add_done_callback(lambda done: self._ended(done, step, attempt, unit, deployment))
        return True

    def _ended(
        self,
        riding: asyncio.Future[Turn],
        step: End,
        attempt: Attempt,
        unit: SpendingUnit,
        deployment: Deployment,
    ) -> None:
        """What could not go along is written on its own: it was spent all the same."""
        failed = riding.cancelled() or riding.exception() is not None
        if failed or not step.applied:
            late = asyncio.ensure_future(_patiently(lambda: self._end(attempt, unit, deployment)))
            self._late.add(late)
            late.add_done_callback(self._is_written)

    def _is_written(self, late: asyncio.Future[None]) -> None:
        self._late.discard(late)
        if not late.cancelled():
            late.exception()  # a store that stays away: whoever settles books what the log says

    async def _give_back(
        self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment
    ) -> None:
        """Close an attempt that was never called, also while its caller is being cancelled."""
        ending = asyncio.ensure_future(self.end(replace(attempt, used=NOTHING), unit, deployment))
        await asyncio.wait({ending})
        ending.result()

    async def _begun(self, wanted: Wanted) -> Attempt:
        """Put it on record. Where the caller is cancelled meanwhile, it is closed again."""
        step = Begin(wanted)
        riding = self._ride(wanted.unit, step, True)
        if riding is not None:
            return await self._rode(riding, step, wanted)
        beginning = asyncio.ensure_future(self._begin_until_known(wanted))
        try:
            return await apart(beginning)
        except asyncio.CancelledError:
            await asyncio.wait({beginning})
            if beginning.exception() is None:
                await self._give_back(beginning.result(), wanted.unit, wanted.deployment)
            raise

    async def _rode(self, riding: asyncio.Future[Turn], step: Begin, wanted: Wanted) -> Attempt:
        """The same, of an attempt that goes along with its run's commit."""
        try:
            await apart(riding)
        except asyncio.CancelledError:
            await asyncio.wait({riding})
            if riding.exception() is None and step.attempt is not None:
                await self._give_back(step.attempt, wanted.unit, wanted.deployment)
            raise
        except Lost:
            await self._close_given_up(wanted)
            raise Conflict(_LOST) from None
        if step.attempt is None:
            await self._close_given_up(wanted)
            raise Conflict(_TO_STOP)
        return step.attempt

    async def _begin_until_known(self, wanted: Wanted) -> Attempt:
        async def one_try() -> Attempt:
            before = len(wanted.given_up)
            try:
                return await self._begin(wanted)
            except StoreUnavailable as away:
                if away.outcome_known:
                    del wanted.given_up[before:]
                raise

        try:
            pauses = _PAUSES if wanted.unit.epoch is None else _LONG_PAUSES
            return await _patiently(one_try, pauses)
        except Conflict:
            await self._close_given_up(wanted)
            raise

    async def _close_given_up(self, wanted: Wanted) -> None:
        """No attempt comes of it: close what its tries may have written."""
        if not wanted.given_up:
            return
        for row in await self._of(wanted.unit):
            if is_mine(row, wanted.unit) and row.number in wanted.given_up:
                await self.end(replace(row, used=NOTHING), wanted.unit, wanted.deployment)

    async def _of(self, unit: SpendingUnit) -> Sequence[Attempt]:
        async with self._state.snapshot(unit.tenant) as view:
            return await view.spending.attempts(unit.id)

    async def _end(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> None:
        if unit.epoch is None:  # what was begun is all that can be on record
            await self._recorder.write(unit.tenant, lambda tx: _book(tx, attempt, deployment))
            return
        async with self._state.transaction(unit.tenant) as tx:
            known = {row.number: row for row in await tx.spending.attempts(unit.id)}
            row = known.get(attempt.number, attempt)
            ended = replaced(
                row,
                used=attempt.used or row.used,
                output_bytes=max(row.output_bytes, attempt.output_bytes),
                error=attempt.error,
            )
            if row.booked:
                await _book(tx, ended, deployment)
            else:
                tx.spending.update(ended)

    async def _begin(self, wanted: Wanted) -> Attempt:
        unit, before = wanted.unit, len(wanted.given_up)

        async def record(tx: Transaction) -> Attempt:
            del wanted.given_up[before:]  # of a transaction that was undone
            writing = Writing(fresh=wanted.fresh and not wanted.given_up)
            attempt = await wanted.record(tx, writing)
            writing.write(tx)
            return attempt

        if unit.epoch is None:
            return await self._recorder.write(unit.tenant, record)
        async with self._state.transaction(unit.tenant) as tx:
            await _check_fence(tx, unit)
            return await record(tx)


async def _book(tx: Transaction, ended: Attempt, deployment: Deployment) -> None:
    tx.spending.book(ledger_line(ended, deployment, tx))
    tx.spending.update(replaced(ended, booked=True))


async def _patiently(
    one_try: Callable[[], Awaitable[Result]], pauses: Sequence[float] = _PAUSES
) -> Result:
    """Try again while the store is away, for a while."""
    for pause in pauses:
        try:
            return await one_try()
        except StoreUnavailable:
            await asyncio.sleep(pause)
    return await one_try()


async def _check_fence(tx: Transaction, unit: SpendingUnit) -> None:
    if unit.epoch is None:
        return
    turn = (await tx.turns.lock([TurnId(unit.id)])).get(TurnId(unit.id))
    if turn is None or not Fence(unit.epoch).admits(turn):
        raise Conflict(_LOST)
    if turn.cancel is not None:
        raise Conflict(_TO_STOP)
