"""What an operator may see of turns, on every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.state_samples import a_turn, an_attempt, later
from contracts.state_stores import state
from core.call import Call
from core.errors import NotFound, PermissionRefused
from core.generation import TokenUsage
from core.identifiers import ApiKeyId, BootId, CallId, Seconds, TenantId, TurnId, UserId
from core.pages import PageRequest
from core.ports.state import State
from core.principal import EVERY_SCOPE, EVERY_TENANT_SCOPE, Principal
from core.turns.rows import EndReason, ReaderRow, Turn, TurnState
from services.turn_operations import TurnOperations

__all__ = ["state"]

ACME, RIVAL = TenantId("acme"), TenantId("rival")


class Canceller:
    """Notes who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Principal, TurnId]] = []

    async def cancel(self, call: Call, turn: TurnId) -> None:
        self.asked.append((call.principal, turn))


def operator(*scopes: str, tenant: TenantId = ACME) -> Call:
    held = frozenset(scopes or (EVERY_SCOPE,))
    principal = Principal(tenant, UserId("olga"), ApiKeyId("key_1"), held)
    return Call(principal, CallId("call_1"), Seconds(1e9))


EVERYWHERE = operator("admin.read", "admin.write", EVERY_TENANT_SCOPE)


async def put(state: State, *turns: Turn) -> None:
    for turn in turns:
        async with state.transaction(turn.tenant) as tx:
            tx.turns.insert(turn)


@pytest.fixture
def turns() -> Canceller:
    return Canceller()


@pytest.fixture
def operations(state: State, turns: Canceller) -> TurnOperations:
    return TurnOperations(state, turns)


async def listed(
    operations: TurnOperations, call: Call, *states: TurnState, **how: bool
) -> list[str]:
    page = await operations.list(call, frozenset(states), PageRequest(), **how)
    return [row.turn.id for row in page.items]


class TestList:
    async def test_those_under_way_the_newest_first(
        self, state: State, operations: TurnOperations
    ) -> None:
        await put(
            state,
            a_turn("old"),
            a_turn("new", created_at=later(1)),
            a_turn("waits", state=TurnState.WAITING, owner=BootId(""), created_at=later(2)),
            a_turn("done", state=TurnState.FINISHED, created_at=later(3)),
        )
        assert await listed(operations, operator()) == ["waits", "new", "old"]
        assert await listed(operations, operator(), TurnState.FINISHED) == ["done"]

    async def test_page_by_page(self, state: State, operations: TurnOperations) -> None:
        await put(state, *(a_turn(f"t{n}", created_at=later(n // 2)) for n in range(5)))
        seen: list[str] = []
        token = ""
        for _ in range(3):
            page = await operations.list(operator(), frozenset(), PageRequest.of(2, token))
            seen += [row.turn.id for row in page.items]
            token = page.next_token
        assert (seen, token) == (["t4", "t2", "t3", "t0", "t1"], "")

    async def test_another_tenants_do_not_exist(
        self, state: State, operations: TurnOperations
    ) -> None:
        await put(state, a_turn("ours"), a_turn("theirs", RIVAL))
        assert await listed(operations, operator()) == ["ours"]
        assert await listed(operations, EVERYWHERE) == ["ours"]

    async def test_all_tenants_for_a_key_that_says_so_by_name(
        self, state: State, operations: TurnOperations
    ) -> None:
        await put(state, a_turn("ours", created_at=later(1)), a_turn("theirs", RIVAL))
        assert await listed(operations, EVERYWHERE, all_tenants=True) == ["ours", "theirs"]

    async def test_a_key_for_everything_does_not_open_other_tenants(
        self, operations: TurnOperations
    ) -> None:
        with pytest.raises(PermissionRefused, match="admin"):
            await listed(operations, operator(EVERY_SCOPE), all_tenants=True)


class TestDetails:
    async def test_the_row_with_attempts_and_readers(
        self, state: State, operations: TurnOperations
    ) -> None:
        async with state.transaction(ACME) as tx:
            now = tx.now
            tx.turns.insert(a_turn("t", lease_until=now + timedelta(seconds=60)))
            for number in (1, 2):
                tx.spending.begin(an_attempt(number, "t"))
        async with state.transaction(ACME) as tx:
            first = replace(an_attempt(1, "t"), used=TokenUsage(10, 5), error="refused")
            tx.spending.update(first)
            tx.readers.put(ReaderRow(TurnId("t"), ACME, BootId("b2"), now + timedelta(seconds=2)))
        found = await operations.details(operator(), TurnId("t"))
        assert found.row.turn.owner == BootId("boot-1")
        assert found.row.lease_left is not None
        assert 50 < found.row.lease_left <= 60
        assert [(each.number, each.used, each.error) for each in found.attempts] == [
            (1, TokenUsage(10, 5), "refused"),
            (2, None, ""),
        ]
        assert [reader.boot for reader in found.readers] == [BootId("b2")]

    async def test_a_lapsed_lease_is_negative_and_an_ended_turn_has_none(
        self, state: State, operations: TurnOperations
    ) -> None:
        await put(state, a_turn("stuck", lease_until=later(-100)))
        await put(state, a_turn("done", state=TurnState.FINISHED, reason=EndReason.STOP))
        stuck = await operations.details(operator(), TurnId("stuck"))
        assert stuck.row.lease_left is not None
        assert stuck.row.lease_left < 0
        assert (await operations.details(operator(), TurnId("done"))).row.lease_left is None

    async def test_it_changes_nothing(self, state: State, operations: TurnOperations) -> None:
        stuck = a_turn("stuck", lease_until=later(-100))
        await put(state, stuck)
        await operations.details(operator(), TurnId("stuck"))
        async with state.snapshot(ACME) as view:
            assert await view.turns.get(TurnId("stuck")) == stuck


class TestForeign:
    async def test_a_foreign_turn_is_told_as_one_that_never_was(
        self, state: State, operations: TurnOperations, turns: Canceller
    ) -> None:
        await put(state, a_turn("theirs", RIVAL))
        for call, id in ((operator(), "theirs"), (operator(), "never"), (EVERYWHERE, "never")):
            with pytest.raises(NotFound):
                await operations.details(call, TurnId(id))
            with pytest.raises(NotFound):
                await operations.cancel(call, TurnId(id))
        assert turns.asked == []

    async def test_an_operator_of_all_tenants_sees_and_stops_it(
        self, state: State, operations: TurnOperations, turns: Canceller
    ) -> None:
        await put(state, a_turn("theirs", RIVAL))
        found = await operations.details(EVERYWHERE, TurnId("theirs"))
        assert found.row.turn.tenant == RIVAL
        await operations.cancel(EVERYWHERE, TurnId("theirs"))
        assert [(who.tenant, turn) for who, turn in turns.asked] == [(RIVAL, TurnId("theirs"))]


class TestCancel:
    async def test_another_users_turn_is_stopped_in_that_users_name(
        self, state: State, operations: TurnOperations, turns: Canceller
    ) -> None:
        await put(state, a_turn("t"))
        call = operator()
        found = await operations.cancel(call, TurnId("t"))
        who, which = turns.asked[0]
        assert (who.tenant, who.user, which) == (ACME, found.row.turn.user, TurnId("t"))
        assert who.key == call.principal.key
        assert not who.scopes
        assert call.facts.turn_id == TurnId("t")
