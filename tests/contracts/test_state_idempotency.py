"""Request ids in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import ACME, a_conversation, a_turn_on, an_id
from core.identifiers import RequestId, TurnId, UserId
from core.ports.state import State, StoreConflict
from core.turns.rows import IdempotencyRecord


async def insert(state: State, record: IdempotencyRecord) -> None:
    async with state.transaction(ACME) as tx:
        tx.idempotency.insert(record)


async def found(state: State, record: IdempotencyRecord) -> IdempotencyRecord | None:
    async with state.snapshot(ACME) as tx:
        return await tx.idempotency.find(record.key)


async def test_an_id_stands_for_its_turn(state: State) -> None:
    await insert(state, an_id())
    assert await found(state, an_id()) == an_id()


async def test_an_id_is_taken_once(state: State) -> None:
    await insert(state, an_id())
    with pytest.raises(StoreConflict):
        await insert(state, replace(an_id(), turn=TurnId("turn-2")))
    assert await found(state, an_id()) == an_id()


@pytest.mark.parametrize(
    "change",
    [
        {"user": UserId("bob")},
        {"operation": "generate"},
        {"request_id": RequestId("request-2")},
    ],
    ids=["user", "operation", "request"],
)
async def test_an_id_is_one_users_for_one_operation(
    state: State, change: dict[str, UserId]
) -> None:
    other = replace(an_id(), key=replace(an_id().key, **change))  # type: ignore[arg-type]
    await insert(state, an_id())
    assert await found(state, other) is None
    await insert(state, other)
    assert await found(state, other) == other


async def test_a_forgotten_turn_frees_its_ids_and_no_others(state: State) -> None:
    kept = replace(an_id("request-2"), turn=TurnId("turn-2"))
    await insert(state, an_id())
    await insert(state, kept)
    for _ in range(2):
        async with state.transaction(ACME) as tx:
            tx.idempotency.forget(a_turn_on(None))
    assert await found(state, an_id()) is None
    assert await found(state, kept) == kept
    await insert(state, an_id())


async def test_an_id_goes_with_its_turns_conversation(state: State) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())
        tx.turns.insert(a_turn_on(None))
        tx.idempotency.insert(an_id())
        tx.conversations.delete(a_conversation().id)
    assert await found(state, an_id()) is None
