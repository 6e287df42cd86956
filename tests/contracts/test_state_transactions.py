"""What a transaction and a snapshot are, in every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contracts.state_samples import ACME, ANN, TALK, a_conversation, a_turn
from core.conversations import Conversation
from core.errors import NotFound
from core.identifiers import ConversationId, TurnId
from core.ports.state import State, StoreConflict, StoreUnavailable, Transaction


async def titles(state: State) -> set[str]:
    async with state.snapshot(ACME) as tx:
        return {row.id for row in await tx.conversations.list(ANN, 1000, None)}


async def keep(state: State, id: str) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation(id))


async def read(tx: Transaction, id: str = "talk") -> Conversation | None:
    return await tx.conversations.get(ConversationId(id))


class TestCommit:
    async def test_what_was_committed_is_seen_by_all_that_begin_later(self, state: State) -> None:
        await keep(state, "talk")
        async with state.transaction(ACME) as tx:
            assert await read(tx) == a_conversation()
        async with state.snapshot(ACME) as tx:
            assert await read(tx) == a_conversation()

    async def test_a_read_sees_the_writes_before_it(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            assert await read(tx) is None
            tx.conversations.insert(a_conversation())
            assert await read(tx) == a_conversation()
            tx.conversations.delete(TALK)
            assert await read(tx) is None
            tx.conversations.insert(a_conversation(updated=9))
        assert await titles(state) == {"talk"}

    async def test_reads_may_be_awaited_together(self, state: State) -> None:
        await keep(state, "talk")
        async with state.transaction(ACME) as tx:
            found = await asyncio.gather(*(read(tx) for _ in range(5)), read(tx, "none"))
            tx.conversations.insert(a_conversation("next"))
        assert found == [a_conversation()] * 5 + [None]
        assert await titles(state) == {"talk", "next"}

    async def test_one_that_touches_nothing_is_nothing(self, state: State) -> None:
        async with state.transaction(ACME):
            pass
        async with state.snapshot(ACME):
            pass
        assert await titles(state) == set()

    async def test_its_time_is_the_present_in_utc(self, state: State) -> None:
        def is_present(now: datetime) -> bool:  # on another machine's clock, it may be
            return abs(datetime.now(UTC) - now) < timedelta(seconds=1)

        for kind in (state.transaction, state.snapshot):
            async with kind(ACME) as tx:
                assert is_present(tx.now)
                assert tx.now.utcoffset() == timedelta(0)
            async with kind(ACME) as tx:
                await read(tx)
                assert is_present(tx.now)

    async def test_its_time_stands_still(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            began = tx.now
            await read(tx)
            await asyncio.sleep(0.002)
            assert tx.now == began


class TestUndo:
    async def test_a_block_that_raises_leaves_nothing(self, state: State) -> None:
        async def failing() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("early"))
                await read(tx)
                tx.conversations.insert(a_conversation("late"))
                raise NotFound("thing", "it")

        with pytest.raises(NotFound):
            await failing()
        assert await titles(state) == set()

    async def test_a_block_that_is_cancelled_leaves_nothing_and_holds_nothing(
        self, state: State
    ) -> None:
        inside = asyncio.Event()

        async def never_ending() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("lost"))
                await read(tx)
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(never_ending())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await keep(state, "next")
        assert await titles(state) == {"next"}

    async def test_one_that_is_cancelled_while_it_waits_holds_nothing(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation("wanted"))
            await read(tx)
            waiting = [asyncio.create_task(keep(state, "wanted")) for _ in range(3)]
            await asyncio.sleep(0.01)
            for task in waiting:
                task.cancel()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in results)
        await keep(state, "next")
        assert await titles(state) == {"wanted", "next"}


class TestConflict:
    async def test_is_raised_by_leaving_the_block(self, state: State) -> None:
        async def late() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("new"))
                tx.conversations.insert(a_conversation("talk"))

        await keep(state, "talk")
        with pytest.raises(StoreConflict):
            await late()
        assert await titles(state) == {"talk"}

    async def test_is_raised_by_the_next_read(self, state: State) -> None:
        async def late() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("new"))
                tx.conversations.insert(a_conversation("talk"))
                await read(tx)
                raise AssertionError("the read did not tell")

        await keep(state, "talk")
        with pytest.raises(StoreConflict):
            await late()
        assert await titles(state) == {"talk"}

    async def test_cannot_be_survived(self, state: State) -> None:
        async def stubborn() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("talk"))
                for _ in range(2):
                    with pytest.raises(StoreConflict):
                        await read(tx)
                tx.conversations.insert(a_conversation("after"))

        await keep(state, "talk")
        with pytest.raises(StoreConflict):
            await stubborn()
        assert await titles(state) == {"talk"}


class TestTogether:
    async def test_one_that_fails_does_not_touch_its_neighbours(self, state: State) -> None:
        await keep(state, "taken")

        async def attempt(number: int) -> None:
            async with state.transaction(ACME) as tx:
                if number % 2:
                    await read(tx)
                tx.conversations.insert(a_conversation(f"n{number}"))
                if number % 5 == 1:
                    raise NotFound("thing", "it")
                if number % 5 == 2:
                    tx.conversations.insert(a_conversation("taken"))

        results = await asyncio.gather(*map(attempt, range(60)), return_exceptions=True)
        assert [type(each) for each in results[:5]] == [
            type(None),
            NotFound,
            StoreConflict,
            type(None),
            type(None),
        ]
        good = {f"n{number}" for number in range(60) if number % 5 not in (1, 2)}
        assert await titles(state) == good | {"taken"}

    async def test_they_are_serial_in_effect(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            tx.turns.insert(a_turn(epoch=0))

        async def count() -> None:
            async with state.transaction(ACME) as tx:
                row = (await tx.turns.lock([TurnId("turn-1")]))[TurnId("turn-1")]
                tx.turns.update(a_turn(epoch=row.epoch + 1))

        await asyncio.gather(*(count() for _ in range(100)))
        async with state.snapshot(ACME) as tx:
            found = await tx.turns.get(TurnId("turn-1"))
        assert found is not None
        assert found.epoch == 100

    async def test_of_many_that_want_one_key_one_gets_it(self, state: State) -> None:
        wanting = (keep(state, "talk") for _ in range(20))
        results = await asyncio.gather(*wanting, return_exceptions=True)
        assert results.count(None) == 1
        assert sum(isinstance(each, StoreConflict) for each in results) == 19


class TestSnapshot:
    async def test_is_of_one_moment(self, state: State) -> None:
        await keep(state, "old")
        async with state.snapshot(ACME) as tx:
            assert await read(tx, "old") is not None
            await keep(state, "new")
            assert await read(tx, "new") is None
            assert len(await tx.conversations.list(ANN, 10, None)) == 1
        assert await titles(state) == {"old", "new"}

    async def test_does_not_wait_for_a_writer_and_does_not_see_what_is_open(
        self, state: State
    ) -> None:
        await keep(state, "old")
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation("open"))
            assert await read(tx, "open") is not None
            assert await titles(state) == {"old"}
        assert await titles(state) == {"old", "open"}

    async def test_cannot_be_written_through(self, state: State) -> None:
        with pytest.raises(RuntimeError):
            async with state.snapshot(ACME) as tx:
                tx.conversations.insert(a_conversation())
        assert await titles(state) == set()

    async def test_many_may_be_open(self, state: State) -> None:
        await keep(state, "talk")
        assert await asyncio.gather(*(titles(state) for _ in range(50))) == [{"talk"}] * 50


class TestEnd:
    @pytest.mark.parametrize("kind", ["transaction", "snapshot"])
    async def test_nothing_can_be_done_after_the_block(self, state: State, kind: str) -> None:
        async with getattr(state, kind)(ACME) as tx:
            await read(tx)
        with pytest.raises(RuntimeError):
            await read(tx)
        with pytest.raises(RuntimeError):
            tx.conversations.delete(TALK)

    async def test_closing_finishes_what_is_under_way(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            await read(tx)
            closing = asyncio.create_task(state.close())
            await asyncio.sleep(0.01)
            tx.conversations.insert(a_conversation())
        await closing
        with pytest.raises(StoreUnavailable):
            await keep(state, "late")
        with pytest.raises(StoreUnavailable):
            await titles(state)

    async def test_closing_twice_is_closing_once(self, state: State) -> None:
        await keep(state, "talk")
        await state.close()
        await state.close()
