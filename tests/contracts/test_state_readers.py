"""Who reads a turn that runs elsewhere, in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import ACME, OTHER, later
from core.identifiers import BootId, TenantId, TurnId
from core.ports.state import EVERY_TENANT, Scope, State
from core.turns.rows import ReaderRow

TURN = TurnId("turn-1")
NEXT = TurnId("turn-2")
BOOT = BootId("boot-1")


def a_reader(boot: str = "boot-1", expires: float = 2, tenant: TenantId = ACME) -> ReaderRow:
    return ReaderRow(TURN, tenant, BootId(boot), later(expires))


async def put(state: State, *readers: ReaderRow, scope: Scope = EVERY_TENANT) -> None:
    async with state.transaction(scope) as tx:
        for reader in readers:
            tx.readers.put(reader)


async def readers(state: State, scope: Scope = EVERY_TENANT) -> list[ReaderRow]:
    async with state.snapshot(scope) as tx:
        return list(await tx.readers.of(TURN))


async def live(state: State, at: float, scope: Scope = EVERY_TENANT) -> set[str]:
    async with state.snapshot(scope) as tx:
        return set(await tx.readers.live([TURN, NEXT, TURN], later(at)))


async def test_a_turn_has_a_row_for_each_replica(state: State) -> None:
    await put(state, a_reader("boot-2", 3), a_reader())
    assert await readers(state) == [a_reader(), a_reader("boot-2", 3)]


async def test_a_row_is_renewed(state: State) -> None:
    await put(state, a_reader())
    await put(state, a_reader(expires=4))
    assert await readers(state) == [a_reader(expires=4)]


async def test_a_turn_is_read_until_its_last_row_expires(state: State) -> None:
    await put(state, a_reader(expires=2), a_reader("boot-2", 3))
    assert await live(state, 2.5) == {TURN}
    assert await live(state, 3) == {TURN}
    assert await live(state, 3.000001) == set()


async def test_only_the_turns_asked_for_are_live(state: State) -> None:
    await put(state, a_reader(), replace(a_reader(), turn=TurnId("turn-3")))
    assert await live(state, 1) == {TURN}
    async with state.snapshot(ACME) as tx:
        assert not await tx.readers.live([], later(1))


async def test_a_replica_leaves_and_may_do_so_again(state: State) -> None:
    await put(state, a_reader(), a_reader("boot-2"))
    for _ in range(2):
        async with state.transaction(ACME) as tx:
            tx.readers.leave(TURN, BOOT)
    assert await readers(state) == [a_reader("boot-2")]


async def test_all_go_with_the_end(state: State) -> None:
    other = replace(a_reader(), turn=NEXT)
    await put(state, a_reader(), a_reader("boot-2"), other)
    async with state.transaction(ACME) as tx:
        tx.readers.end(TURN)
    assert await readers(state) == []
    assert await live(state, 1) == {NEXT}


async def test_what_expired_goes(state: State) -> None:
    await put(state, a_reader(expires=1), a_reader("boot-2", 2), a_reader("boot-3", 3))
    async with state.transaction(EVERY_TENANT) as tx:
        tx.readers.expire(later(2))
    assert [row.boot for row in await readers(state)] == ["boot-2", "boot-3"]


class TestAnotherTenant:
    async def test_sees_no_rows(self, state: State) -> None:
        await put(state, a_reader())
        assert await readers(state, OTHER) == []
        assert await live(state, 1, OTHER) == set()

    async def test_changes_none(self, state: State) -> None:
        await put(state, a_reader())
        async with state.transaction(OTHER) as tx:
            tx.readers.put(a_reader(expires=9, tenant=OTHER))
            tx.readers.leave(TURN, BOOT)
            tx.readers.end(TURN)
            tx.readers.expire(later(99))
        assert await readers(state) == [a_reader()]

    async def test_is_not_written_for(self, state: State) -> None:
        async with state.transaction(OTHER) as tx:
            with pytest.raises(ValueError, match="another tenant"):
                tx.readers.put(a_reader())
