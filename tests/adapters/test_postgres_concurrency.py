"""What holds on PostgreSQL where two processes work on the same rows at the same time.

Two stores on one database stand for the processes: they share nothing but the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import PostgresState, open_postgres
from contracts.state_samples import (
    ACME,
    DOCS,
    TALK,
    a_chunk,
    a_collection,
    a_conversation,
    a_document,
    a_message,
    a_turn,
    a_turn_on,
    an_attempt,
    an_id,
    later,
)
from core.conversations import Conversation
from core.identifiers import DocumentId, MessageId, Position, TurnId
from core.ports.state import EVERY_TENANT, State, StoreConflict
from core.turns.rows import Turn, TurnState

TURN = TurnId("turn-1")


@pytest.fixture
async def here(postgres_url: str) -> AsyncIterator[PostgresState]:
    state = await open_postgres(PostgresOptions(postgres_url))
    yield state
    await state.close()


@pytest.fixture
async def there(postgres_url: str) -> AsyncIterator[PostgresState]:
    state = await open_postgres(PostgresOptions(postgres_url))
    yield state
    await state.close()


async def converse(state: State, *turns: Turn) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())
        for turn in turns:
            tx.turns.insert(turn)


async def stored(state: State) -> Conversation | None:
    async with state.snapshot(ACME) as tx:
        return await tx.conversations.get(TALK)


class TestClaims:
    async def test_of_one_id_one_wins(self, here: PostgresState, there: PostgresState) -> None:
        async def claim(state: State, name: str) -> str:
            async with state.transaction(ACME) as tx:
                known = await tx.idempotency.find(an_id().key)
                if known is not None:
                    return known.turn
                tx.idempotency.insert(replace(an_id(), turn=TurnId(name)))
                tx.turns.insert(a_turn(name))
            return name

        claims = [claim(state, f"{n}") for n in range(25) for state in (here, there)]
        results = await asyncio.gather(*claims, return_exceptions=True)
        won = {name for name in results if isinstance(name, str)}
        assert len(won) == 1
        assert all(isinstance(each, str | StoreConflict) for each in results)
        async with here.snapshot(EVERY_TENANT) as tx:
            assert {turn.id for turn in await tx.turns.running(100)} == won

    async def test_of_one_branch_one_wins(self, here: PostgresState, there: PostgresState) -> None:
        await converse(here)

        async def claim(state: State, name: str) -> None:
            async with state.transaction(ACME) as tx:
                if await tx.turns.busy(TALK, None) is None:
                    tx.turns.insert(a_turn_on(None, name))

        claims = [claim(state, f"{n}") for n in range(20) for state in (here, there)]
        await asyncio.gather(*claims, return_exceptions=True)
        async with here.snapshot(EVERY_TENANT) as tx:
            assert len(await tx.turns.running(100)) == 1

    async def test_one_on_a_head_that_has_moved_meanwhile_reads_again(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        """Else the question would follow what the last answer followed, beside that answer."""
        await converse(here, a_turn_on(None))

        async def claim_late() -> None:
            async with here.transaction(ACME) as claim:
                assert await claim.conversations.get(TALK) == a_conversation()
                async with there.transaction(EVERY_TENANT) as settlement:
                    await settlement.turns.lock([TURN])
                    settlement.turns.update(a_turn_on(None, state=TurnState.FINISHED))
                    moved = await settlement.conversations.get(TALK)
                    assert moved is not None
                    settlement.conversations.add_message(a_message("answer"))
                    settlement.conversations.update(replace(moved, head=MessageId("answer")))
                await claim.turns.busy(TALK, None)

        with pytest.raises(StoreConflict):
            await claim_late()


class TestLocks:
    async def test_a_sweeper_leaves_out_what_another_holds(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        async with here.transaction(ACME) as tx:
            for name in "abc":
                tx.turns.insert(a_turn(name))
        wanted = list(map(TurnId, "abc"))
        async with here.transaction(EVERY_TENANT) as first:
            await first.turns.lock([TurnId("b")])
            async with there.transaction(EVERY_TENANT) as second:
                assert list(await second.turns.lock(wanted, wait=False)) == ["a", "c"]

    async def test_who_waits_for_a_row_sees_it_as_it_became(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        async with here.transaction(ACME) as tx:
            tx.turns.insert(a_turn(epoch=0))
            tx.spending.begin(an_attempt())

        async def count(state: State) -> None:
            async with state.transaction(ACME) as tx:
                row = (await tx.turns.lock([TURN]))[TURN]
                (attempt,) = await tx.spending.attempts(TURN)
                tx.turns.update(replace(row, epoch=row.epoch + 1))
                tx.spending.update(replace(attempt, output_bytes=attempt.output_bytes + 1))

        await asyncio.gather(*(count(state) for _ in range(25) for state in (here, there)))
        async with here.snapshot(ACME) as tx:
            row = await tx.turns.get(TURN)
            (attempt,) = await tx.spending.attempts(TURN)
        assert row is not None
        assert (row.epoch, attempt.output_bytes) == (50, 50)

    async def test_batches_that_share_turns_do_not_wait_in_a_circle(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        names = [TurnId(f"t{n}") for n in range(20)]
        async with here.transaction(ACME) as tx:
            for name in names:
                tx.turns.insert(a_turn(name, epoch=0))

        async def bump(state: State, order: list[TurnId]) -> None:
            async with state.transaction(EVERY_TENANT) as tx:
                rows = await tx.turns.lock(order)
                for row in rows.values():
                    tx.turns.update(replace(row, epoch=row.epoch + 1))

        await asyncio.gather(
            *(bump(here, names) for _ in range(10)),
            *(bump(there, names[::-1]) for _ in range(10)),
        )
        async with here.snapshot(EVERY_TENANT) as tx:
            assert {row.epoch for row in await tx.turns.running(100)} == {20}


class TestConversations:
    async def test_a_turns_end_and_a_new_title_both_stay(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        await converse(here)
        async with here.transaction(EVERY_TENANT) as settlement:
            old = await settlement.conversations.get(TALK)
            assert old is not None
            async with there.transaction(ACME) as tx:
                titled = await tx.conversations.get(TALK)
                assert titled is not None
                tx.conversations.update(replace(titled, title="New", etag="2"))
            head = MessageId("answer")
            settlement.conversations.update(replace(old, head=head, updated_at=later(9)))
        expected = replace(old, head=head, updated_at=later(9), title="New", etag="2")
        assert await stored(here) == expected

    async def test_of_two_titles_that_rest_on_one_etag_one_is_refused(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        await converse(here)

        async def title(state: State, name: str) -> None:
            async with state.transaction(ACME) as tx:
                old = await tx.conversations.get(TALK)
                assert old is not None
                if old.etag == "1":
                    await asyncio.sleep(0.05)
                    tx.conversations.update(replace(old, title=name, etag=name))

        results = await asyncio.gather(title(here, "a"), title(there, "b"), return_exceptions=True)
        refused = [each for each in results if isinstance(each, StoreConflict)]
        assert len(refused) == 1

    async def test_one_that_a_turn_has_begun_in_meanwhile_is_not_deleted(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        await converse(here)

        async def delete() -> None:
            async with here.transaction(ACME) as tx:
                assert not await tx.turns.any_busy(TALK)
                async with there.transaction(ACME) as claim:
                    claim.turns.insert(a_turn_on(None))
                    claim.conversations.add_message(a_message("question"))
                tx.conversations.delete(TALK)

        with pytest.raises(StoreConflict):
            await delete()
        assert await stored(here) is not None

    async def test_a_question_to_one_that_is_being_deleted_leaves_nothing(
        self, here: PostgresState, there: PostgresState
    ) -> None:
        await converse(here)

        async def delete() -> None:
            async with here.transaction(ACME) as tx:
                tx.conversations.delete(TALK)
                await tx.conversations.get(TALK)
                await asyncio.sleep(0.05)

        async def ask() -> None:
            async with there.transaction(ACME) as tx:
                if await tx.conversations.get(TALK) is not None:
                    await asyncio.sleep(0.02)
                    tx.turns.insert(a_turn_on(None))
                    tx.conversations.add_message(a_message("question"))

        results = await asyncio.gather(delete(), ask(), return_exceptions=True)
        assert results[0] is None
        assert isinstance(results[1], StoreConflict)
        async with here.snapshot(ACME) as tx:
            assert await tx.turns.get(TURN) is None


async def test_documents_that_are_put_at_once_are_all_counted(
    here: PostgresState, there: PostgresState
) -> None:
    async with here.transaction(ACME) as tx:
        tx.knowledge.insert_collection(a_collection())

    async def put(state: State, name: str) -> None:
        async with state.transaction(ACME) as tx:
            collection = await tx.knowledge.lock_collection(DOCS)
            assert collection is not None
            chunks = [a_chunk(f"{name}-{n}", name, n) for n in range(3)]
            at = Position(collection.position + 1)
            tx.knowledge.put_document(DOCS, a_document(name), chunks, at)

    await asyncio.gather(
        *(put(s, f"d{n}{i}") for n in range(8) for i, s in enumerate((here, there)))
    )
    async with here.snapshot(ACME) as tx:
        collection = await tx.knowledge.collection(DOCS)
        assert collection is not None
        assert (collection.document_count, collection.chunk_count) == (16, 48)
        assert len(await tx.knowledge.changes(DOCS, Position(0), 100)) == 16
        assert await tx.knowledge.document(DOCS, DocumentId("d00")) is not None
