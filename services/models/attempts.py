"""Attempts on record: begun before the provider is called, ended whatever came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from core.catalog import Deployment
from core.errors import Conflict
from core.generation import TokenUsage
from core.identifiers import TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State, StoreUnavailable, Transaction
from core.prices import most_cost
from core.turns.fencing import Fence
from core.turns.rows import Attempt
from services.turns.settlement import ledger_line

Result = TypeVar("Result")

NOTHING = TokenUsage(0, 0)
"""What an attempt used that was put on record and never called."""
_PAUSES = (0.05, 0.2, 0.5, 1.0)
"""Seconds before each further try to reach a store that is away."""
_LONG_PAUSES = (*_PAUSES, *(1.0,) * 28)
"""The same where a turn waits for it, which holds its output back for as long."""

Hold = Callable[[SpendingUnit], Awaitable[None]]
"""Makes sure that the unit may still spend, right before it does; raises where it may not."""


async def hold_nothing(_: SpendingUnit) -> None:
    """A Hold for those who have nothing to lose meanwhile."""


class Attempts:
    """Writes the attempts of a unit of spending. A number is never used twice."""

    def __init__(self, state: State, hold: Hold = hold_nothing) -> None:
        self._state = state
        self._hold = hold

    async def begin(
        self, unit: SpendingUnit, deployment: Deployment, prompt_tokens: int, max_output: int
    ) -> Attempt:
        """Record an attempt that may now be called.

        Raises Conflict where the turn is no longer this run's, or is to stop. When a commit's
        outcome is unknown, its number is given up: what it may have written is closed as unused;
        so is an attempt whose caller is cancelled before this returns, or that `hold` refuses.
        """
        beginning = asyncio.ensure_future(
            self._begin_until_known(unit, deployment, prompt_tokens, max_output)
        )
        try:
            attempt = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.wait({beginning})
            if beginning.exception() is None:
                await self._give_back(beginning.result(), unit, deployment)
            raise
        try:
            await self._hold(unit)
        except BaseException:
            await self._give_back(attempt, unit, deployment)
            raise
        return attempt

    async def _give_back(
        self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment
    ) -> None:
        """Close an attempt that was never called, also while its caller is being cancelled."""
        ending = asyncio.ensure_future(self.end(replace(attempt, used=NOTHING), unit, deployment))
        await asyncio.wait({ending})
        ending.result()

    async def end(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> None:
        """Write what the attempt came to. A turn books it when it is settled; others, now.

        Raises StoreUnavailable where the store is away for more than a moment.
        """
        await _patiently(lambda: self._end(attempt, unit, deployment))

    async def _begin_until_known(
        self, unit: SpendingUnit, deployment: Deployment, prompt_tokens: int, max_output: int
    ) -> Attempt:
        given_up: list[int] = []

        async def one_try() -> Attempt:
            before = len(given_up)
            try:
                return await self._begin(unit, deployment, prompt_tokens, max_output, given_up)
            except StoreUnavailable as away:
                if away.outcome_known:
                    del given_up[before:]
                raise

        try:
            return await _patiently(one_try, _PAUSES if unit.epoch is None else _LONG_PAUSES)
        except Conflict:
            for row in await self._of(unit):
                if _is_mine(row, unit) and row.number in given_up:
                    await self.end(replace(row, used=NOTHING), unit, deployment)
            raise

    async def _of(self, unit: SpendingUnit) -> Sequence[Attempt]:
        async with self._state.snapshot(unit.tenant) as view:
            return await view.spending.attempts(unit.id)

    async def _end(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> None:
        async with self._state.transaction(unit.tenant) as tx:
            known = {row.number: row for row in await tx.spending.attempts(unit.id)}
            row = known.get(attempt.number, attempt)
            ended = replace(
                row,
                used=attempt.used or row.used,
                output_bytes=max(row.output_bytes, attempt.output_bytes),
                error=attempt.error,
            )
            if unit.epoch is None or row.booked:
                tx.spending.book(ledger_line(ended, deployment, tx))
                ended = replace(ended, booked=True)
            tx.spending.update(ended)

    async def _begin(
        self,
        unit: SpendingUnit,
        deployment: Deployment,
        prompt_tokens: int,
        max_output: int,
        given_up: list[int],
    ) -> Attempt:
        async with self._state.transaction(unit.tenant) as tx:
            await _check_fence(tx, unit)
            known = await tx.spending.attempts(unit.id)
            for row in known:
                if _is_mine(row, unit) and row.number in given_up:
                    tx.spending.update(replace(row, used=NOTHING))
            number = max((*given_up, *(row.number for row in known)), default=0) + 1
            given_up.append(number)
            attempt = Attempt(
                unit=unit.id,
                number=number,
                tenant=unit.tenant,
                run=unit.run,
                epoch=unit.epoch or 0,
                deployment=deployment.name,
                prompt_tokens=prompt_tokens,
                reserved=most_cost(prompt_tokens, max_output, deployment.prices),
                began_at=tx.now,
                user=unit.user,
                feature=unit.feature,
            )
            tx.spending.begin(attempt)
        return attempt


def _is_mine(row: Attempt, unit: SpendingUnit) -> bool:
    """A number whose commit failed may by now be another run's."""
    return row.epoch == (unit.epoch or 0)


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
        raise Conflict("this run no longer has its turn; no provider is called for it")
    if turn.cancel is not None:
        raise Conflict("this turn is to stop; no provider is called for it")
