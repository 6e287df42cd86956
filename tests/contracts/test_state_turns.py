"""Turns in every store."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

import pytest

from contracts.state_samples import (
    ACME,
    NOON,
    OTHER,
    TALK,
    a_conversation,
    a_turn,
    a_turn_on,
    later,
)
from core.identifiers import BootId, MessageId, RequestId, Seconds, TurnId
from core.ports.state import EVERY_TENANT, State, StoreConflict
from core.turns.fencing import Extension
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


class TestReplacing:
    async def test_the_last_row_stands_whatever_else_a_transaction_replaces(
        self, state: State
    ) -> None:
        """As where one run settles, and another is renewed and then settles, in one commit."""
        turns = [a_turn(f"turn-{n}", deadline_at=later(60)) for n in range(3)]
        await insert(state, *turns)
        ended = [replace(t, state=TurnState.FINISHED, ended_at=later(1)) for t in turns]
        renewed = [replace(t, lease_until=later(5), next_seq=2) for t in turns]
        async with state.transaction(EVERY_TENANT) as tx:
            await tx.turns.lock([turn.id for turn in turns])
            for row in (ended[0], renewed[1], ended[1], renewed[2], ended[2], renewed[2]):
                tx.turns.update(row)
        assert await stored(state, "turn-0") == ended[0]
        assert await stored(state, "turn-1") == ended[1]
        assert await stored(state, "turn-2") == renewed[2]


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

    async def test_takes_any_name_for_what_it_is(self, state: State) -> None:
        names = ["", "NULL", '"', "\\", "{a,b}", "it's", "模型\n", " ", "a,b"]
        await insert(state, *(a_turn(name) for name in names), a_turn("a"), a_turn("b"))
        async with state.transaction(ACME) as tx:
            assert list(await tx.turns.lock(map(TurnId, names))) == sorted(names)

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
            assert await tx.turns.any_busy(TALK) == first.id

    async def test_another_branch_is_free(self, state: State) -> None:
        await insert(state, a_turn_on(None, "turn-2"), a_turn_on(QUESTION, "turn-1"))
        async with state.snapshot(ACME) as tx:
            assert await tx.turns.busy(TALK, MessageId("else")) is None
            assert await tx.turns.any_busy(TALK) == "turn-1"

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


LEASE, HARD = Seconds(5.0), Seconds(10.0)


async def extend(state: State, *extensions: Extension, at: float = 0.0) -> AbstractSet[TurnId]:
    async with state.transaction(EVERY_TENANT) as tx:
        return await tx.turns.extend(extensions, later(at), LEASE, HARD)


def by(epoch: int = 1, first: int = 1, count: int = 2, *, released: bool = True) -> Extension:
    return Extension(TurnId("turn-1"), epoch, first, count, released)


class TestExtending:
    async def test_numbers_go_on_and_the_lease_is_renewed(self, state: State) -> None:
        turn = a_turn(deadline_at=later(60))
        await insert(state, turn)
        assert await extend(state, by(), at=2.0) == {turn.id}
        longer = replace(turn, next_seq=3, released=True, lease_until=later(7.0))
        assert await stored(state) == longer
        await extend(state, by(first=3, count=0, released=False), at=3.0)
        assert await stored(state) == replace(longer, lease_until=later(8.0))

    @pytest.mark.parametrize("cancel", [None, EndReason.CANCELLED, EndReason.ABANDONED])
    @pytest.mark.parametrize("detach", [False, True])
    async def test_what_others_asked_for_has_to_be_known(
        self, state: State, cancel: EndReason | None, detach: bool
    ) -> None:
        turn = a_turn(deadline_at=later(60), cancel=cancel, detach=detach)
        await insert(state, turn)
        for known in (None, EndReason.CANCELLED):
            for so in (False, True):
                if (known, so) != (cancel, detach):
                    assert await extend(state, by()._replace(cancel=known, detach=so)) == set()
        assert await stored(state) == turn
        assert await extend(state, by()._replace(cancel=cancel, detach=detach)) == {turn.id}
        assert await stored(state) == replace(
            turn, next_seq=3, released=True, lease_until=later(5.0)
        )

    @pytest.mark.parametrize("stranger", [by(epoch=2), by(first=2), by(first=0)])
    async def test_another_epoch_or_number_changes_nothing(
        self, state: State, stranger: Extension
    ) -> None:
        turn = a_turn(deadline_at=later(60))
        await insert(state, turn)
        assert await extend(state, stranger, at=2.0) == set()
        assert await stored(state) == turn

    @pytest.mark.parametrize(
        "other", [state for state in TurnState if state is not TurnState.RUNNING]
    )
    async def test_a_turn_that_does_not_run_stays(self, state: State, other: TurnState) -> None:
        turn = a_turn(deadline_at=later(60), state=other, ended_at=NOON)
        await insert(state, turn)
        assert await extend(state, by()) == set()
        assert await stored(state) == turn

    async def test_no_lease_is_left_past_the_hard_deadline(self, state: State) -> None:
        turn = a_turn(deadline_at=later(1.0), lease_until=later(4.0))
        await insert(state, turn)
        assert await extend(state, by(), at=11.0) == {turn.id}
        assert await stored(state) == replace(turn, next_seq=3, released=True)

    async def test_a_lease_never_becomes_shorter(self, state: State) -> None:
        turn = a_turn(deadline_at=later(60), lease_until=later(30.0))
        await insert(state, turn)
        await extend(state, by())
        assert await stored(state) == replace(turn, next_seq=3, released=True)

    async def test_each_of_many_is_judged_alone(self, state: State) -> None:
        turns = [a_turn(f"turn-{n}", deadline_at=later(60), epoch=n) for n in range(1, 40)]
        await insert(state, *turns)
        even = [Extension(turn.id, turn.epoch & ~1, 1, 1, released=False) for turn in turns]
        applied = await extend(state, *even)
        assert applied == {turn.id for turn in turns if turn.epoch % 2 == 0}

    async def test_nothing_stays_of_a_transaction_that_fails(self, state: State) -> None:
        turn = a_turn(deadline_at=later(60))
        await insert(state, turn)

        async def fail() -> None:
            async with state.transaction(EVERY_TENANT) as tx:
                await tx.turns.extend([by()], NOON, LEASE, HARD)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await stored(state) == turn

    async def test_a_tenants_scope_keeps_to_its_own(self, state: State) -> None:
        turn = a_turn(deadline_at=later(60))
        await insert(state, turn)
        async with state.transaction(OTHER) as tx:
            assert await tx.turns.extend([by()], NOON, LEASE, HARD) == set()
        assert await stored(state) == turn
