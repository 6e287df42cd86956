"""A row of another tenant does not exist, and the process itself sees everybody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from contracts.state_samples import (
    ACME,
    ANN,
    DOCS,
    NOON,
    OTHER,
    TALK,
    a_chunk,
    a_collection,
    a_conversation,
    a_document,
    a_message,
    a_turn,
    a_turn_on,
    an_api_key,
    an_attempt,
    an_execution,
    an_id,
    events,
    later,
)
from core.identifiers import ApiKeyId, ChunkId, CollectionName, DocumentId, Position, TurnId
from core.pages import Cursor
from core.ports.state import EVERY_TENANT, State, StoreConflict, Transaction

TURN = TurnId("turn-1")


@pytest.fixture
async def filled(state: State) -> State:
    """A store in which ACME has one of everything."""
    async with state.transaction(ACME) as tx:
        turn = a_turn_on(None)
        tx.conversations.insert(a_conversation())
        tx.conversations.add_message(a_message("m"))
        tx.turns.insert(turn)
        tx.idempotency.insert(an_id())
        tx.events.append(turn, events(1, 2))
        tx.spending.begin(an_attempt())
        tx.spending.record(an_execution())
        tx.api_keys.insert(an_api_key())
        tx.knowledge.insert_collection(a_collection())
        tx.knowledge.put_document(DOCS, a_document(), [a_chunk("a")], Position(1))
    return state


async def everything(tx: Transaction) -> list[object]:
    """What a scope sees of ACME's rows that are not knowledge."""
    return [
        await tx.turns.get(TURN),
        await tx.turns.lock([TURN]),
        await tx.turns.busy(TALK, None),
        await tx.turns.any_busy(TALK),
        await tx.turns.running(10),
        await tx.idempotency.find(an_id().key),
        await tx.events.read(TURN, 0, 10),
        await tx.spending.attempts("turn-1"),
        await tx.spending.execution(TURN),
        await tx.conversations.get(TALK),
        await tx.conversations.list(ANN, 10, None),
        await tx.conversations.message(TALK, a_message("m").id),
        await tx.conversations.messages(TALK, 10, None),
        await tx.conversations.branch(TALK, a_message("m").id, 10),
        await tx.api_keys.list(),
        await tx.knowledge.collections(10, None),
    ]


async def knowledge(tx: Transaction) -> list[object]:
    """What a tenant sees of ACME's knowledge."""
    return [
        await tx.knowledge.collection(DOCS),
        await tx.knowledge.document(DOCS, DocumentId("doc")),
        await tx.knowledge.documents(DOCS, 10, None),
        await tx.knowledge.documents_by_uri(DOCS, ["file:///doc.md"]),
        await tx.knowledge.chunk_ids(DOCS, DocumentId("doc")),
        await tx.knowledge.chunks(DOCS, [ChunkId("a")]),
        await tx.knowledge.changes(DOCS, Position(0), 10),
    ]


async def test_the_owner_and_the_process_see_it_all(filled: State) -> None:
    async with filled.snapshot(ACME) as tx:
        own = await everything(tx)
        assert all([*own, *await knowledge(tx)])
    async with filled.transaction(EVERY_TENANT) as tx:
        assert await everything(tx) == own


@pytest.mark.parametrize("kind", ["transaction", "snapshot"])
async def test_another_tenant_sees_nothing(filled: State, kind: str) -> None:
    async with getattr(filled, kind)(OTHER) as tx:
        assert not any(await everything(tx))
        assert not any(await knowledge(tx))


async def test_another_tenant_changes_nothing(filled: State) -> None:
    async with filled.snapshot(ACME) as tx:
        before = [*await everything(tx), *await knowledge(tx)]
    async with filled.transaction(OTHER) as tx:
        tx.turns.update(a_turn(tenant=OTHER, epoch=9))
        tx.idempotency.forget(a_turn(tenant=OTHER))
        tx.events.delete(a_turn(tenant=OTHER))
        tx.spending.update(replace(an_attempt(tenant=OTHER), epoch=9))
        tx.spending.record(replace(an_execution(tenant=OTHER), reason="ERROR"))
        tx.conversations.update(replace(a_conversation(), title="mine"))
        tx.conversations.delete(TALK)
        tx.api_keys.revoke(ApiKeyId("key-1"), NOON)
        tx.knowledge.delete_collection(DOCS)
    async with filled.snapshot(ACME) as tx:
        assert [*await everything(tx), *await knowledge(tx)] == before


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.turns.insert(a_turn()),
        lambda tx: tx.turns.update(a_turn()),
        lambda tx: tx.idempotency.insert(an_id()),
        lambda tx: tx.idempotency.forget(a_turn()),
        lambda tx: tx.events.append(a_turn(), events(1, 1)),
        lambda tx: tx.events.delete(a_turn()),
        lambda tx: tx.spending.begin(an_attempt()),
        lambda tx: tx.spending.record(an_execution()),
        lambda tx: tx.api_keys.insert(an_api_key()),
        lambda tx: tx.knowledge.insert_collection(a_collection()),
    ],
    ids=[
        "turn",
        "update",
        "id",
        "forget",
        "event",
        "delete",
        "attempt",
        "execution",
        "key",
        "collection",
    ],
)
async def test_a_row_that_names_another_tenant_cannot_be_written(
    state: State, write: Callable[[Transaction], None]
) -> None:
    async with state.transaction(OTHER) as tx:
        with pytest.raises(ValueError, match="another tenant"):
            write(tx)


async def test_a_foreign_conversation_takes_no_message(filled: State) -> None:
    async def intrude() -> None:
        async with filled.transaction(OTHER) as tx:
            tx.conversations.add_message(a_message("mine"))

    with pytest.raises(StoreConflict):
        await intrude()


async def test_names_belong_to_a_tenant(filled: State) -> None:
    async with filled.transaction(OTHER) as tx:
        tx.knowledge.insert_collection(a_collection(tenant=OTHER))
        tx.knowledge.put_document(DOCS, a_document(), [a_chunk("a"), a_chunk("b")], Position(1))
        tx.idempotency.insert(an_id(tenant=OTHER))
        assert len(await tx.knowledge.chunk_ids(DOCS, DocumentId("doc"))) == 2
        tx.knowledge.delete_collection(DOCS)
    async with filled.snapshot(ACME) as tx:
        assert list(await tx.knowledge.chunk_ids(DOCS, DocumentId("doc"))) == ["a"]


async def test_the_process_writes_for_the_tenant_that_a_row_names(filled: State) -> None:
    async with filled.transaction(EVERY_TENANT) as tx:
        row = (await tx.turns.lock([TURN]))[TURN]
        tx.turns.update(replace(row, next_seq=3))
        tx.events.append(row, events(3, 1))
        tx.conversations.add_message(a_message("answer", "m"))
        tx.conversations.update(replace(a_conversation(), title="Titled"))
        tx.knowledge.insert_collection(a_collection(tenant=OTHER))
        tx.spending.begin(an_attempt(2))
    async with filled.snapshot(ACME) as tx:
        assert len(await tx.events.read(TURN, 0, 10)) == 3
        assert len(await tx.conversations.messages(TALK, 10, None)) == 2
        conversation = await tx.conversations.get(TALK)
        assert conversation is not None
        assert conversation.title == "Titled"
        assert len(await tx.knowledge.collections(10, None)) == 1
        assert len(await tx.spending.attempts("turn-1")) == 2


async def test_the_process_lists_all_collections_a_page_at_a_time(filled: State) -> None:
    async def page(limit: int, after: Cursor | None = None) -> list[tuple[str, str]]:
        async with filled.snapshot(EVERY_TENANT) as tx:
            rows = await tx.knowledge.collections(limit, after)
            return [(row.key.name, row.key.tenant) for row in rows]

    async with filled.transaction(OTHER) as tx:
        tx.knowledge.insert_collection(a_collection(tenant=OTHER))
        tx.knowledge.insert_collection(a_collection("zoo", OTHER))
    assert await page(10) == [("docs", "acme"), ("docs", "other"), ("zoo", "other")]
    assert await page(2, Cursor("docs", "acme")) == [("docs", "other"), ("zoo", "other")]


async def test_what_needs_a_tenant_asks_for_one(state: State) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        with pytest.raises(ValueError, match="one tenant"):
            tx.conversations.insert(a_conversation(updated=later(1).second))
        with pytest.raises(ValueError, match="one tenant"):
            await tx.knowledge.collection(DOCS)
        with pytest.raises(ValueError, match="one tenant"):
            await tx.knowledge.documents(CollectionName("any"), 1, None)
        with pytest.raises(ValueError, match="one tenant"):
            tx.knowledge.delete_collection(DOCS)
