"""Turns in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import ACME, NOON, TALK, a_conversation, a_turn, a_turn_on, later
from core.identifiers import BootId, MessageId, RequestId, Seconds, TurnId
from core.ports.state import EVERY_TENANT, State, StoreConflict
from core.turns.rows import Decision, EndReason, Turn, TurnFailure, TurnState

QUESTION = MessageId("question")
FAILURE = TurnFailure(
    "MODELS_UNAVAILABLE", "no model — 模型", (("a", "1"), ("a", "2")), Seconds(1.5)
)


async def insert(state: State, *turns: Turn) -> None:
    async with state.transaction(ACME) as tx:
        for turn in turns:
            tx.turns.insert(turn)


async def update(state: State, turn: Turn) -> None:
    async with state.transaction(ACME) as tx:
        tx.turns.update(turn)


async def stored(state: State, id: str = "turn-1") -> Turn | None:
    async with state.snapshot(ACME) as tx:
        return await tx.turns.get(TurnId(id))


class TestRow:
    @pytest.mark.parametrize(
        "turn",
        [
            a_turn(),
            a_turn_on(None, request_id=RequestId("r"), feature="help", user_message=QUESTION),
            a_turn_on(
                QUESTION,
                state=TurnState.FAILED,
                run=2,
                epoch=7,
                next_seq=12,
                log_from=3,
                released=True,
                done=True,
                cancel=EndReason.CANCELLED,
                detach=True,
                linger=Seconds(60.0),
                retractions=True,
                rerunnable=True,
                reason=EndReason.ERROR,
                error=FAILURE,
                ended_at=later(2.000001),
                forgotten=True,
            ),
            a_turn_on(
                QUESTION,
                state=TurnState.WAITING,
                owner=BootId(""),
                approval="approval-1",
                wait_until=later(3600.000001),
                decision=Decision.DENIED,
            ),
            a_turn(error=TurnFailure("INTERNAL", "")),
        ],
        ids=["plain", "root", "everything", "waiting", "failure without details"],
    )
    async def test_comes_back_as_it_was(self, state: State, turn: Turn) -> None:
        await insert(state, turn)
        assert await stored(state) == turn

    async def test_an_update_replaces_all_of_it(self, state: State) -> None:
        await insert(state, a_turn_on(QUESTION, cancel=EndReason.ABANDONED))
        changed = a_turn_on(
            QUESTION, state=TurnState.FINISHED, reason=EndReason.STOP, ended_at=later(1)
        )
        await update(state, changed)
        assert await stored(state) == changed

    async def test_an_update_of_an_unknown_turn_changes_nothing(self, state: State) -> None:
        await update(state, a_turn())
        assert await stored(state) is None

    async def test_an_id_is_taken_once(self, state: State) -> None:
        await insert(state, a_turn())
        with pytest.raises(StoreConflict):
            await insert(state, a_turn(epoch=2))
        assert await stored(state) == a_turn()


class TestLock:
    async def test_gives_the_known_ones_in_order_of_id(self, state: State) -> None:
        await insert(state, a_turn("b"), a_turn("c"), a_turn("a"))
        async with state.transaction(ACME) as tx:
            wanted = map(TurnId, ["c", "unknown", "a", "c"])
            found = await tx.turns.lock(wanted)
            assert list(found) == ["a", "c"]
            assert found[TurnId("c")] == a_turn("c")
            assert await tx.turns.lock([]) == {}

    async def test_without_waiting_gives_those_that_nobody_else_holds(self, state: State) -> None:
        await insert(state, a_turn("a"), a_turn("b"))
        async with state.transaction(ACME) as tx:
            found = await tx.turns.lock(map(TurnId, ["b", "unknown", "a"]), wait=False)
            assert list(found) == ["a", "b"]
            again = await tx.turns.lock([TurnId("a")], wait=False)
            assert list(again) == ["a"]

    async def test_takes_many(self, state: State) -> None:
        ids = [f"turn-{number}" for number in range(1200)]
        await insert(state, *(a_turn(id) for id in ids))
        async with state.transaction(EVERY_TENANT) as tx:
            assert len(await tx.turns.lock(map(TurnId, ids))) == 1200


class TestBranch:
    @pytest.mark.parametrize("parent", [None, QUESTION], ids=["root", "message"])
    @pytest.mark.parametrize("busy", [TurnState.RUNNING, TurnState.WAITING], ids=lambda s: s.value)
    async def test_runs_one_turn_at_a_time(
        self, state: State, parent: MessageId | None, busy: TurnState
    ) -> None:
        first = a_turn_on(parent, state=busy)
        await insert(state, first)
        with pytest.raises(StoreConflict):
            await insert(state, a_turn_on(parent, "turn-2"))
        async with state.snapshot(ACME) as tx:
            assert await tx.turns.busy(TALK, parent) == first
            assert await tx.turns.any_busy(TALK)

    async def test_another_branch_is_free(self, state: State) -> None:
        await insert(state, a_turn_on(None), a_turn_on(QUESTION, "turn-2"))
        async with state.snapshot(ACME) as tx:
            assert await tx.turns.busy(TALK, MessageId("else")) is None

    @pytest.mark.parametrize("ended", [TurnState.FINISHED, TurnState.FAILED])
    async def test_is_free_once_its_turn_ended(self, state: State, ended: TurnState) -> None:
        await insert(state, a_turn_on(QUESTION, state=ended), a_turn_on(QUESTION, "turn-2"))
        async with state.snapshot(ACME) as tx:
            found = await tx.turns.busy(TALK, QUESTION)
        assert found is not None
        assert found.id == "turn-2"

    async def test_is_checked_when_a_turn_runs_again(self, state: State) -> None:
        failed = a_turn_on(QUESTION, state=TurnState.FAILED, rerunnable=True)
        await insert(state, failed, a_turn_on(QUESTION, "turn-2"))
        with pytest.raises(StoreConflict):
            await update(state, replace(failed, state=TurnState.RUNNING, run=2))
        assert await stored(state) == failed

    async def test_free_and_taken_in_one_transaction(self, state: State) -> None:
        await insert(state, a_turn_on(QUESTION))
        async with state.transaction(ACME) as tx:
            tx.turns.update(a_turn_on(QUESTION, state=TurnState.FINISHED))
            tx.turns.insert(a_turn_on(QUESTION, "turn-2"))
        async with state.snapshot(ACME) as tx:
            assert await tx.turns.any_busy(TALK)

    async def test_is_not_asked_of_turns_without_a_conversation(self, state: State) -> None:
        await insert(state, a_turn("a"), a_turn("b"))
        async with state.snapshot(ACME) as tx:
            assert not await tx.turns.any_busy(TALK)

    async def test_is_free_again_after_its_conversation_was_deleted(self, state: State) -> None:
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation())
            tx.turns.insert(a_turn_on(None))
            tx.conversations.delete(TALK)
        async with state.snapshot(ACME) as tx:
            assert not await tx.turns.any_busy(TALK)


class TestRunning:
    async def test_names_the_oldest_first_up_to_a_limit(self, state: State) -> None:
        await insert(
            state,
            a_turn("c", created_at=later(2)),
            a_turn("b", created_at=NOON),
            a_turn("a", created_at=NOON),
            a_turn("waits", state=TurnState.WAITING),
            a_turn("ended", state=TurnState.FINISHED),
        )
        async with state.snapshot(EVERY_TENANT) as tx:
            assert [turn.id for turn in await tx.turns.running(10)] == ["a", "b", "c"]
            assert [turn.id for turn in await tx.turns.running(2)] == ["a", "b"]
