"""Readers elsewhere, late, lagging, or gone: none is left out, and none is told two stories.

Faults 13, 14, 19 and 20 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio

import pytest

from core.errors import TurnLogExpired
from core.identifiers import Seconds, TurnId
from core.ports.state import State
from core.turns.rows import EndReason
from fakes.language_model import Wait, script, words
from fakes.turn_cluster import Cluster, turn_cluster
from fakes.turn_node import TurnNode, a_model, a_request
from fakes.turn_readers import Read, Reader, read_all, reading
from services.turns.reading import Batches
from services.turns.timings import TurnTimings

TALE = words("one two three four five", pause=0.3)
HOUR = 3600.0
BRIEF = TurnTimings(
    id_retention=Seconds(60),
    log_retention=Seconds(60 + HOUR),
    tail_events=4,
    tail_bytes=4_000,
    message_bytes=300,
    read_events=3,
)


async def test_fault_13_the_only_reader_is_elsewhere_and_all_notices_are_lost(
    state: State,
) -> None:
    """It is not abandoned, and its end is learnt by polling."""
    async with turn_cluster(state, [a_model(words("a b c d e f g h", pause=0.5))]) as cluster:
        cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(linger=Seconds(0.6)))) as here:
            turn = (await here.until(1)).turn
        there = Reader(_resumed(two, turn))
        read = await there.end()
        assert two.clock.monotonic() < 8 * 0.5 + 0.6 + 0.1
        assert read.text == "a b c d e f g h"
        assert (await one.row(turn)).reason is EndReason.STOP


async def test_fault_13_then_it_leaves_and_generation_stops(state: State) -> None:
    model = a_model(script("a", Wait(100), "b"))
    async with turn_cluster(state, [model]) as cluster:
        cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(), one.call(deadline=300))) as here:
            turn = (await here.until(1)).turn
            there = Reader(_resumed(two, turn))
            await there.until(2)
        await asyncio.sleep(20)
        assert model.running == 1
        left = two.clock.monotonic()
        there.leave()
        while model.running:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        assert two.clock.monotonic() - left < 1


@pytest.mark.parametrize("moment", range(20))
async def test_fault_14_a_reader_registers_while_the_owner_abandons(
    state: State, moment: int
) -> None:
    """Attached and running, or told the same end as everyone."""
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(linger=Seconds(0.4)))) as here:
            turn = (await here.until(2)).turn
        await asyncio.sleep(0.395)
        for _ in range(moment):
            await asyncio.sleep(0 if moment < 10 else 0.0005)
        read = await two.resume(turn)
        row = await one.row(turn)
        assert _reason(read) is row.reason
        assert (await one.resume(turn)).encoded == read.encoded
        if row.reason is EndReason.STOP:
            assert read.text == "one two three four five"
        else:
            assert row.reason is EndReason.ABANDONED


@pytest.mark.parametrize("notices", [True, False])
async def test_fault_14_both_can_happen(state: State, notices: bool) -> None:
    """One who comes well before is in time, one who comes well after is not.

    Without notices it is the store alone that tells the owner.
    """
    ends: list[EndReason | None] = []
    for pause in (0.3, 0.6):
        async with turn_cluster(state, [a_model(TALE)]) as cluster:
            if not notices:
                cluster.exchange.lose_everything()
            one, two = await cluster.start(boot=f"a{pause}"), await cluster.start(boot=f"b{pause}")
            with reading(one.stream(a_request(linger=Seconds(0.4)))) as here:
                turn = (await here.until(2)).turn
            await asyncio.sleep(pause)
            ends.append(_reason(await two.resume(turn)))
    assert ends == [EndReason.STOP, EndReason.ABANDONED]


@pytest.mark.parametrize("held", ["events.read", "turns.get"])
async def test_fault_19_the_settlement_commits_between_two_reads(state: State, held: str) -> None:
    """Between a reader's look at the state and at the log: the last event is still delivered."""
    async with turn_cluster(state, [a_model(script("a", Wait(0.1), "b"))]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        reader = Reader(one.stream(a_request()))
        turn = (await reader.until(1)).turn
        gate = _hold_reads(cluster, two, held)
        late = Reader(_resumed(two, turn))
        read = await reader.end()
        gate.set()
        assert (await late.end()).encoded == read.encoded


async def test_fault_20_compaction_under_a_lagging_reader(state: State) -> None:
    """It is told that events are gone, and is given none after the gap."""
    async with turn_cluster(state, [a_model(words("word " * 60, pause=0.02))]) as cluster:
        one, two = await cluster.start(timings=BRIEF), await cluster.start(timings=BRIEF)
        read = await one.ask("Tell")
        lagging = _resumed(two, read.turn)
        first = await anext(lagging)
        await asyncio.sleep(60 + HOUR + 5)
        rest = await read_all(lagging)
        row = await one.row(read.turn)
        assert row.log_from == row.next_seq > first.last + 1
        assert isinstance(rest.error, TurnLogExpired)
        assert rest.batches == []
        assert isinstance((await one.resume(read.turn)).error, TurnLogExpired)
        done = await one.resume(read.turn, row.next_seq - 1)
        assert (done.batches, done.error) == ([], None)


def _hold_reads(cluster: Cluster, node: TurnNode, name: str) -> asyncio.Event:
    """Let this replica's reads of this kind wait, within their snapshots."""
    gate = asyncio.Event()

    async def before(read: str) -> None:
        if read == name:
            await gate.wait()

    cluster.store_of(node).before_read = before
    return gate


def _reason(read: Read) -> EndReason | None:
    return read.transcript.finished.reason if read.transcript.finished else None


def _resumed(node: TurnNode, turn: TurnId) -> Batches:
    return node.chat.resume(node.call(deadline=300), turn, 0, accepts_retractions=False)
