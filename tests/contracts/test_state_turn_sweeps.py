"""What a sweeper finds among the turns, and how an operator lists them, in every store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.state_samples import ACME, NOON, OTHER, a_turn, later
from core.errors import InvalidInput
from core.identifiers import TenantId
from core.pages import Cursor
from core.ports.state import EVERY_TENANT, Scope, State, Transaction
from core.turns.rows import Decision, EndReason, Turn, TurnState

MICROSECOND = timedelta(microseconds=1)
Query = Callable[[Transaction], Awaitable[Sequence[Turn]]]


async def insert(state: State, *turns: Turn, tenant: TenantId = ACME) -> None:
    async with state.transaction(tenant) as tx:
        for turn in turns:
            tx.turns.insert(turn)


async def found(state: State, query: Query, scope: Scope = EVERY_TENANT) -> list[str]:
    async with state.snapshot(scope) as tx:
        return [turn.id for turn in await query(tx)]


class TestDue:
    async def test_is_whose_lease_or_deadline_ended_before(self, state: State) -> None:
        await insert(
            state,
            a_turn("lease", lease_until=later(4), created_at=later(1)),
            a_turn("deadline", deadline_at=later(9), created_at=NOON),
            a_turn("just", lease_until=later(5), deadline_at=later(10)),
            a_turn("waits", state=TurnState.WAITING, lease_until=NOON),
            a_turn("ended", state=TurnState.FINISHED, lease_until=NOON),
            a_turn("failed", state=TurnState.FAILED, lease_until=NOON),
        )
        due = await found(state, lambda tx: tx.turns.due(later(5), later(10), 10))
        assert due == ["deadline", "lease"]
        assert await found(state, lambda tx: tx.turns.due(later(5), later(10), 1)) == ["deadline"]
        assert len(await found(state, lambda tx: tx.turns.due(later(5.1), later(10), 10))) == 3

    async def test_no_more_once_the_lease_is_renewed(self, state: State) -> None:
        await insert(state, a_turn(lease_until=NOON))
        async with state.transaction(ACME) as tx:
            tx.turns.update(a_turn(lease_until=later(20)))
        assert await found(state, lambda tx: tx.turns.due(later(5), later(10), 10)) == []


class TestToWake:
    async def test_is_what_is_decided_cancelled_or_expired(self, state: State) -> None:
        waits = TurnState.WAITING
        await insert(
            state,
            a_turn("decided", state=waits, decision=Decision.APPROVED, wait_until=later(99)),
            a_turn("expired", state=waits, wait_until=later(10) - MICROSECOND),
            a_turn("cancelled", state=waits, cancel=EndReason.CANCELLED),
            a_turn("not yet", state=waits, wait_until=later(10)),
            a_turn("for ever", state=waits),
            a_turn("runs", decision=Decision.APPROVED, cancel=EndReason.CANCELLED),
        )
        woken = await found(state, lambda tx: tx.turns.to_wake(later(10), 10))
        assert woken == ["cancelled", "decided", "expired"]
        assert len(await found(state, lambda tx: tx.turns.to_wake(later(10), 2))) == 2


class TestToForgetAndCompact:
    async def test_an_ended_turn_is_forgotten_then_compacted_then_left_alone(
        self, state: State
    ) -> None:
        def to_forget(tx: Transaction) -> Awaitable[Sequence[Turn]]:
            return tx.turns.to_forget(later(3), 10)

        def to_compact(tx: Transaction) -> Awaitable[Sequence[Turn]]:
            return tx.turns.to_compact(later(3), 10)

        async def update(turn: Turn) -> None:
            async with state.transaction(ACME) as tx:
                tx.turns.update(turn)

        turn = a_turn(next_seq=4)
        await insert(state, turn)
        assert await found(state, to_forget) == await found(state, to_compact) == []
        turn = replace(turn, state=TurnState.FINISHED, ended_at=later(2))
        await update(turn)
        assert await found(state, to_forget) == ["turn-1"]
        assert await found(state, to_compact) == []
        turn = replace(turn, forgotten=True)
        await update(turn)
        assert await found(state, to_forget) == []
        assert await found(state, to_compact) == ["turn-1"]
        await update(replace(turn, log_from=4))
        assert await found(state, to_forget) == await found(state, to_compact) == []

    async def test_only_what_ended_before(self, state: State) -> None:
        await insert(
            state,
            a_turn("b", state=TurnState.FAILED, ended_at=later(2)),
            a_turn("a", state=TurnState.FINISHED, ended_at=later(1)),
            a_turn("late", state=TurnState.FINISHED, ended_at=later(3)),
            a_turn("runs"),
            a_turn("waits", state=TurnState.WAITING),
        )
        assert await found(state, lambda tx: tx.turns.to_forget(later(3), 10)) == ["a", "b"]
        assert await found(state, lambda tx: tx.turns.to_forget(later(3), 1)) == ["a"]

    async def test_only_what_has_events(self, state: State) -> None:
        ended = a_turn(state=TurnState.FAILED, ended_at=NOON, forgotten=True)
        await insert(state, replace(ended, next_seq=1))
        assert await found(state, lambda tx: tx.turns.to_compact(later(3), 10)) == []


class TestList:
    @pytest.fixture
    async def filled(self, state: State) -> State:
        await insert(
            state,
            a_turn("b", created_at=later(1)),
            a_turn("a", created_at=later(1)),
            a_turn("c", created_at=later(2), state=TurnState.FAILED),
            a_turn("d", created_at=NOON, state=TurnState.FINISHED),
            a_turn("e", created_at=later(3), state=TurnState.WAITING),
        )
        return state

    async def test_is_of_states_newest_first(self, filled: State) -> None:
        busy = {TurnState.RUNNING, TurnState.WAITING}
        assert await found(filled, lambda tx: tx.turns.list(busy, 10, None)) == ["e", "a", "b"]
        every = frozenset(TurnState)
        assert await found(filled, lambda tx: tx.turns.list(every, 10, None)) == list("ecabd")
        assert await found(filled, lambda tx: tx.turns.list(every, 2, None)) == ["e", "c"]
        assert await found(filled, lambda tx: tx.turns.list(frozenset(), 10, None)) == []

    async def test_goes_on_after_a_cursor(self, filled: State) -> None:
        every = frozenset(TurnState)
        after = Cursor(later(1).isoformat(), "a")
        assert await found(filled, lambda tx: tx.turns.list(every, 10, after)) == ["b", "d"]
        assert await found(filled, lambda tx: tx.turns.list(every, 1, after)) == ["b"]

    async def test_refuses_another_lists_cursor(self, filled: State) -> None:
        with pytest.raises(InvalidInput):
            await found(
                filled, lambda tx: tx.turns.list(frozenset(TurnState), 9, Cursor("docs", "docs"))
            )


QUERIES: list[Query] = [
    lambda tx: tx.turns.due(later(100), later(100), 10),
    lambda tx: tx.turns.to_wake(later(100), 10),
    lambda tx: tx.turns.to_forget(later(100), 10),
    lambda tx: tx.turns.to_compact(later(100), 10),
    lambda tx: tx.turns.list(frozenset(TurnState), 10, None),
]


async def test_each_finds_only_the_scopes_turns(state: State) -> None:
    await insert(
        state,
        a_turn("due"),
        a_turn("waits", state=TurnState.WAITING, decision=Decision.EXPIRED),
        a_turn("ended", state=TurnState.FINISHED, ended_at=NOON),
        a_turn("kept", state=TurnState.FINISHED, ended_at=NOON, forgotten=True, next_seq=9),
    )
    for query in QUERIES:
        assert await found(state, query, EVERY_TENANT) == await found(state, query, ACME) != []
        assert await found(state, query, OTHER) == []
