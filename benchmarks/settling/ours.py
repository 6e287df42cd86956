"""Turns through the port, as the server brings them: claims alone, the rest by one committer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.settling.rows import APPENDS, CONVERSATIONS, HARD, LEASE, NOW, TENANT, Plan
from core.ports.state import EVERY_TENANT, State
from core.turns.fencing import Extension
from core.turns.rows import EndReason, TurnState


async def prepare(state: State) -> None:
    """The conversations that the turns belong to."""
    async with state.transaction(TENANT) as tx:
        for conversation in CONVERSATIONS:
            tx.conversations.insert(conversation)


async def settle(state: State, plans: Sequence[Plan]) -> None:
    """Run these turns at once, from their claims to their ends."""
    await asyncio.gather(*(_claim(state, plan) for plan in plans))
    for number in range(APPENDS):
        await _append(state, plans, number)
    await _settle(state, plans)


async def _claim(state: State, plan: Plan) -> None:
    async with state.transaction(TENANT) as tx:
        assert await tx.idempotency.find(plan.record.key) is None
        tx.idempotency.insert(plan.record)
        tx.turns.insert(plan.turn)
        tx.conversations.add_message(plan.question)


async def _append(state: State, plans: Sequence[Plan], number: int) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        extensions = [Extension(plan.turn.id, 1, number + 1, 1, released=True) for plan in plans]
        wishes = await tx.turns.extend(extensions, tx.now, LEASE, HARD)
        assert len(wishes) == len(plans)
        for plan in plans:
            tx.events.append(plan.turn, [plan.events[number]])


async def _settle(state: State, plans: Sequence[Plan]) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        rows = await tx.turns.lock([plan.turn.id for plan in plans])
        for plan in plans:
            tx.conversations.add_message(plan.answer)
            tx.spending.book(plan.line)
            row = rows[plan.turn.id]
            tx.turns.update(
                replace(row, state=TurnState.FINISHED, reason=EndReason.STOP, ended_at=NOW)
            )
