"""Turns through the port, as the server's committer brings them: all of a step in one commit."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.settling.rows import APPENDS, CONVERSATIONS, HARD, LEASE, TENANT, Plan
from core.ports.state import EVERY_TENANT, State, Transaction
from core.turns.fencing import Extension


async def prepare(state: State) -> None:
    """The conversations that the turns belong to."""
    async with state.transaction(TENANT) as tx:
        for conversation in CONVERSATIONS:
            tx.conversations.insert(conversation)


async def settle(state: State, plans: Sequence[Plan]) -> None:
    """Run these turns at once, from their claims to their ends."""
    await _claim(state, plans)
    for number in range(APPENDS):
        async with state.transaction(EVERY_TENANT) as tx:
            await _append(tx, plans, number)
            if number == APPENDS - 1:  # the last words go with the end
                _settle(tx, plans)


async def _claim(state: State, plans: Sequence[Plan]) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        assert not await tx.idempotency.find_all([plan.record.key for plan in plans])
        homes = {plan.question.conversation for plan in plans}
        heads = await tx.conversations.heads(sorted(homes))
        for plan in plans:
            assert not heads[plan.question.conversation].busy
            tx.idempotency.insert(plan.record)
            tx.turns.insert(plan.turn)
            tx.conversations.add_message(plan.question)


async def _append(tx: Transaction, plans: Sequence[Plan], number: int) -> None:
    extensions = [Extension(plan.turn.id, 1, number + 1, 1, released=True) for plan in plans]
    extended = await tx.turns.extend(extensions, tx.now, LEASE, HARD)
    assert len(extended) == len(plans)
    for plan in plans:
        tx.events.append(plan.turn, [plan.events[number]])


def _settle(tx: Transaction, plans: Sequence[Plan]) -> None:
    for plan in plans:
        tx.conversations.add_message(plan.answer)
        tx.spending.book(plan.line)
        tx.turns.update(plan.settled)
