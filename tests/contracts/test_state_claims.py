"""What a batch of claims looks at, and what a settlement leaves behind, in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import (
    ACME,
    ANN,
    OTHER,
    TALK,
    a_conversation,
    a_message,
    a_turn_on,
    an_attempt,
    an_id,
    events,
    later,
)
from core.conversations import Conversation, Head
from core.identifiers import ConversationId, MessageId, TenantId, TurnId, UserId
from core.ports.state import EVERY_TENANT, State
from core.turns.rows import EndReason, TurnState

ELSE = ConversationId("else")


async def keep(state: State, *rows: Conversation, tenant: TenantId = ACME) -> None:
    async with state.transaction(tenant) as tx:
        for row in rows:
            tx.conversations.insert(row)


async def heads(state: State, *ids: ConversationId) -> dict[ConversationId, Head]:
    async with state.transaction(EVERY_TENANT) as tx:
        return dict(await tx.conversations.heads(ids))


async def test_all_ids_that_were_used_are_found_at_once(state: State) -> None:
    used = [an_id(f'it\'s {number}, "quoted" \\ 𝄞') for number in range(3)]
    theirs = an_id(tenant=OTHER)
    async with state.transaction(EVERY_TENANT) as tx:
        for record in (*used, theirs):
            tx.idempotency.insert(record)
    other = replace(used[0].key, user=UserId("bob"))
    asked = [*(record.key for record in used[:2]), other, theirs.key]
    async with state.transaction(EVERY_TENANT) as tx:
        found = await tx.idempotency.find_all(asked)
        assert found == {record.key: record for record in (*used[:2], theirs)}
        assert await tx.idempotency.find_all([other]) == {}
    async with state.snapshot(ACME) as tx:
        assert set(await tx.idempotency.find_all(asked)) == {used[0].key, used[1].key}


async def test_a_head_says_whose_it_is_and_whether_it_is_busy(state: State) -> None:
    await keep(state, a_conversation(), replace(a_conversation("else"), head=MessageId("m1")))
    assert await heads(state, TALK, ELSE, ConversationId("none")) == {
        TALK: Head(ACME, ANN, None, busy=False),
        ELSE: Head(ACME, ANN, MessageId("m1"), busy=False),
    }


@pytest.mark.parametrize("parent", [None, MessageId("m1")])
async def test_a_head_is_busy_while_a_turn_runs_on_it(
    state: State, parent: MessageId | None
) -> None:
    await keep(state, replace(a_conversation(), head=parent))
    turn = a_turn_on(parent)
    other = a_turn_on(MessageId("elsewhere"), "turn-2")
    async with state.transaction(ACME) as tx:
        tx.turns.insert(other)
    assert not (await heads(state, TALK))[TALK].busy
    async with state.transaction(ACME) as tx:
        tx.turns.insert(turn)
    assert (await heads(state, TALK))[TALK].busy
    ended = replace(turn, state=TurnState.FINISHED, reason=EndReason.STOP, ended_at=turn.created_at)
    async with state.transaction(ACME) as tx:
        await tx.turns.lock([turn.id])
        tx.turns.update(ended)
    assert not (await heads(state, TALK))[TALK].busy


async def test_heads_of_another_tenant_do_not_exist(state: State) -> None:
    await keep(state, a_conversation(), tenant=OTHER)
    async with state.snapshot(ACME) as tx:
        assert await tx.conversations.heads([TALK]) == {}
    assert (await heads(state, TALK))[TALK].tenant == OTHER


async def test_moving_the_head_leaves_the_rest_alone(state: State) -> None:
    await keep(state, a_conversation(), a_conversation("else"))
    async with state.transaction(EVERY_TENANT) as tx:
        tx.conversations.move_head(TALK, MessageId("m1"), later(5))
    async with state.snapshot(ACME) as tx:
        moved = await tx.conversations.get(TALK)
        assert moved == replace(a_conversation(), head=MessageId("m1"), updated_at=later(5))
        assert await tx.conversations.get(ELSE) == a_conversation("else")


async def test_another_tenants_head_is_not_moved(state: State) -> None:
    await keep(state, a_conversation())
    async with state.transaction(OTHER) as tx:
        tx.conversations.move_head(TALK, MessageId("m1"), later(5))
    async with state.snapshot(ACME) as tx:
        assert await tx.conversations.get(TALK) == a_conversation()


async def test_writes_of_many_turns_in_one_transaction_keep_their_order(state: State) -> None:
    """A turn leaves its branch before another takes it; of two changes of a row the last stands."""
    await keep(state, a_conversation())
    first, second = a_turn_on(None), a_turn_on(None, "turn-2")
    async with state.transaction(EVERY_TENANT) as tx:
        tx.turns.insert(first)
        tx.spending.begin(an_attempt(1))
    ended = replace(
        first, state=TurnState.FINISHED, reason=EndReason.STOP, ended_at=first.created_at
    )
    async with state.transaction(EVERY_TENANT) as tx:
        await tx.turns.lock([first.id])
        tx.events.append(first, events(1, 2))
        tx.spending.update(replace(an_attempt(1), output_bytes=1))
        tx.turns.update(ended)
        tx.conversations.add_message(a_message("m1"))
        tx.turns.insert(second)
        tx.events.append(second, events(1, 1))
        tx.spending.begin(an_attempt(2))
        tx.spending.update(replace(an_attempt(1), output_bytes=2))
        tx.events.append(first, events(3, 1))
    async with state.snapshot(ACME) as tx:
        assert (await tx.turns.get(TurnId("turn-1"))) == ended
        assert (await tx.turns.busy(TALK, None)) == second
        assert [event.seq for event in await tx.events.read(first.id, 0, 9)] == [1, 2, 3]
        attempts = await tx.spending.attempts("turn-1")
        assert [(row.number, row.output_bytes) for row in attempts] == [(1, 2), (2, 0)]
