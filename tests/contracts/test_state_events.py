"""The turn log in every store."""

from __future__ import annotations

import pytest

from contracts.state_samples import ACME, a_turn, events
from core.identifiers import TurnId
from core.ports.state import State, StoreConflict
from core.turns.rows import LoggedEvent

LOG = TurnId("turn-1")


async def append(state: State, *batches: list[LoggedEvent], turn: str = "turn-1") -> None:
    async with state.transaction(ACME) as tx:
        for batch in batches:
            tx.events.append(a_turn(turn), batch)


async def numbers(state: State, after: int = 0, limit: int = 1000) -> list[int]:
    async with state.snapshot(ACME) as tx:
        return [event.seq for event in await tx.events.read(LOG, after, limit)]


async def test_events_come_back_as_they_were(state: State) -> None:
    logged = [
        LoggedEvent(1, 1, 1, "started", b""),
        LoggedEvent(2, 2, 9, "delta", bytes(range(256)) * 40),
    ]
    await append(state, logged)
    async with state.snapshot(ACME) as tx:
        assert await tx.events.read(LOG, 0, 10) == logged


async def test_so_do_many_whatever_is_in_them(state: State) -> None:
    kinds = ["", "NULL", '"', "\\", "{a,b}", "it's", "模型\n", " "]
    logged = [
        LoggedEvent(seq, 1, 1, kind, bytes(range(256)) + kind.encode())
        for seq, kind in enumerate(kinds, 1)
    ]
    await append(state, logged)
    async with state.snapshot(ACME) as tx:
        assert await tx.events.read(LOG, 0, 10) == logged


async def test_they_are_read_in_order_after_a_number_up_to_a_limit(state: State) -> None:
    await append(state, events(4, 3), events(1, 3))
    assert await numbers(state) == [1, 2, 3, 4, 5, 6]
    assert await numbers(state, after=2) == [3, 4, 5, 6]
    assert await numbers(state, after=2, limit=3) == [3, 4, 5]
    assert await numbers(state, after=6) == []


async def test_a_number_is_taken_once_and_then_nothing_of_the_batch_is_there(
    state: State,
) -> None:
    await append(state, events(1, 2))
    with pytest.raises(StoreConflict):
        await append(state, events(2, 3))
    assert await numbers(state) == [1, 2]


async def test_a_number_is_taken_once_within_a_transaction(state: State) -> None:
    with pytest.raises(StoreConflict):
        await append(state, events(1, 2), events(2, 1))
    assert await numbers(state) == []


async def test_each_turn_has_its_own_log(state: State) -> None:
    await append(state, events(1, 2))
    await append(state, events(1, 5), turn="turn-2")
    assert await numbers(state) == [1, 2]


async def test_a_log_is_deleted_whole_and_alone(state: State) -> None:
    await append(state, events(1, 3))
    await append(state, events(1, 2), turn="turn-2")
    for _ in range(2):
        async with state.transaction(ACME) as tx:
            tx.events.delete(a_turn())
    assert await numbers(state) == []
    async with state.snapshot(ACME) as tx:
        assert len(await tx.events.read(TurnId("turn-2"), 0, 10)) == 2


async def test_nothing_to_append_appends_nothing(state: State) -> None:
    await append(state, [])
    assert await numbers(state) == []


async def test_a_transaction_reads_what_it_appended(state: State) -> None:
    async with state.transaction(ACME) as tx:
        tx.events.append(a_turn(), events(1, 2))
        assert len(await tx.events.read(LOG, 0, 10)) == 2
