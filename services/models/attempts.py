"""Attempts on record: begun before the provider is called, ended whatever came of it."""

from __future__ import annotations

from dataclasses import replace

from core.errors import Conflict
from core.generation import Deployment, TokenUsage
from core.identifiers import TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State, StoreUnavailable, Transaction
from core.turns.fencing import Fence
from core.turns.outcome import cost_of
from core.turns.rows import Attempt
from services.turns.settlement import ledger_line

_TRIES = 3


class Attempts:
    """Writes the attempts of a unit of spending. A number is never used twice."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def begin(
        self, unit: SpendingUnit, deployment: Deployment, prompt_tokens: int, max_output: int
    ) -> Attempt:
        """Record an attempt that may now be called.

        Raises Conflict where the turn is no longer this run's. When a commit's outcome is
        unknown, its number is given up: what it may have written is closed as unused.
        """
        abandoned: list[int] = []
        for last in range(_TRIES):
            try:
                return await self._begin(unit, deployment, prompt_tokens, max_output, abandoned)
            except StoreUnavailable as away:
                if away.outcome_known or last == _TRIES - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    async def end(self, attempt: Attempt, unit: SpendingUnit, deployment: Deployment) -> None:
        """Write what the attempt came to. A turn books it when it is settled; others, now."""
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
        abandoned: list[int],
    ) -> Attempt:
        async with self._state.transaction(unit.tenant) as tx:
            await _check_fence(tx, unit)
            known = await tx.spending.attempts(unit.id)
            for row in known:
                if row.number in abandoned and row.used is None:
                    tx.spending.update(replace(row, used=TokenUsage(0, 0)))
            number = max((row.number for row in known), default=0) + 1
            number = max([number, *(n + 1 for n in abandoned)])
            abandoned.append(number)
            attempt = Attempt(
                unit=unit.id,
                number=number,
                tenant=unit.tenant,
                run=unit.run,
                epoch=unit.epoch or 0,
                deployment=deployment.name,
                prompt_tokens=prompt_tokens,
                reserved=cost_of(TokenUsage(prompt_tokens, max_output), deployment.prices),
                began_at=tx.now,
                user=unit.user,
                feature=unit.feature,
            )
            tx.spending.begin(attempt)
        return attempt


async def _check_fence(tx: Transaction, unit: SpendingUnit) -> None:
    if unit.epoch is None:
        return
    turn = (await tx.turns.lock([TurnId(unit.id)])).get(TurnId(unit.id))
    if not Fence(unit.epoch).admits(turn):
        raise Conflict("this run no longer has its turn; no provider is called for it")
