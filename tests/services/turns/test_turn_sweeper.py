"""What ends though nobody asks for it: orphans, readers gone without a word, ids, logs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.errors import NotFound, TurnLogExpired
from core.identifiers import BootId, RequestId, Seconds, TurnId
from core.ports.state import EVERY_TENANT, State
from core.turns.rows import EndReason, ReaderRow, Turn, TurnState
from fakes.language_model import Hang, script
from fakes.state import FakeState
from fakes.turn_cluster import IN_TOUCH, LEASE, Cluster, turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request, turn_node
from fakes.turn_readers import Reader
from services.turns.timings import TurnTimings

HOUR = 3600.0
BRIEF = TurnTimings(id_retention=Seconds(60), log_retention=Seconds(60 + HOUR))


async def _orphans(cluster: Cluster, count: int) -> list[TurnId]:
    """Turns whose owner has just died, with an attempt of each on record."""
    owner = await cluster.start()
    readers = [Reader(owner.stream(a_request(request_id=f"r{n}"))) for n in range(count)]
    turns = [(await reader.until(1)).turn for reader in readers]
    while not all([await owner.attempts(turn) for turn in turns]):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    cluster.kill(owner)
    return turns


async def test_every_sweep_writes_a_row_so_that_a_full_disk_breaks_contact(state: State) -> None:
    """What changes nothing needs no room: it would not tell that owners cannot renew."""
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        one, two = await cluster.start_two()
        await asyncio.sleep(0.5)
        async with state.snapshot(EVERY_TENANT) as view:
            written = {row.boot: row.expires_at for row in await view.readers.of(TurnId(""))}
        assert len(written) == 2
        await asyncio.sleep(1.5)
        async with state.snapshot(EVERY_TENANT) as view:
            later = {row.boot: row.expires_at for row in await view.readers.of(TurnId(""))}
        assert all(later[boot] > expires for boot, expires in written.items())
        cluster.kill(two)
        await asyncio.sleep(TurnTimings().reader_row + 1.5)
        async with state.snapshot(EVERY_TENANT) as view:
            assert len(await view.readers.of(TurnId(""))) == 1
        assert one is not two


async def test_each_orphan_is_settled_by_one_of_several_sweepers(state: State) -> None:
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        one, two = await cluster.start_two()
        turns = await _orphans(cluster, 30)
        await asyncio.sleep(LEASE + 2.5)
        rows = [await one.row(turn) for turn in turns]
        assert {row.state for row in rows} == {TurnState.FAILED}
        assert {row.epoch for row in rows} == {2}
        for turn in turns:
            assert len(await two.ledger(turn)) == 1


async def test_more_than_one_sweep_can_take_are_settled_by_the_next(state: State) -> None:
    timings = TurnTimings(sweep_turns=7)
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        survivor = await cluster.start(timings=timings)
        await asyncio.sleep(IN_TOUCH)
        turns = await _orphans(cluster, 20)
        await asyncio.sleep(LEASE + 4.2)
        assert all([(await survivor.row(turn)).state.ended for turn in turns])


async def test_one_that_cannot_be_settled_does_not_keep_the_others(state: State) -> None:
    """Its log holds what no program understands."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        survivor = await cluster.start()
        await asyncio.sleep(IN_TOUCH)
        turns = await _orphans(cluster, 5)
        row = await survivor.row(turns[0])
        async with state.transaction(ACME) as tx:
            await tx.turns.lock([row.id])
            (event,) = await tx.events.read(row.id, 0, 10)
            tx.events.delete(row)
            tx.events.append(row, [event._replace(body=b"\xff")])
        await asyncio.sleep(LEASE + 2.5)
        ended = [(await survivor.row(turn)).state.ended for turn in turns]
        assert ended == [False, True, True, True, True]
        assert reported


async def test_rows_of_readers_that_went_without_a_word_are_deleted(state: State) -> None:
    async with turn_node(state, [a_model(script(Hang()))]) as node:
        reader = Reader(node.stream(a_request()))
        turn = (await reader.until(1)).turn
        gone = ReaderRow(turn, ACME, BootId("gone"), node.clock.now() + timedelta(seconds=2))
        async with state.transaction(ACME) as tx:
            tx.readers.put(gone)
        await asyncio.sleep(4)
        async with state.snapshot(ACME) as view:
            assert await view.readers.of(turn) == []


async def test_a_store_that_is_away_is_swept_once_it_is_back(state: State) -> None:
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        survivor = await cluster.start()
        await asyncio.sleep(IN_TOUCH)
        (turn,) = await _orphans(cluster, 1)
        cluster.store_of(survivor).faults.away = True
        await asyncio.sleep(60)
        cluster.store_of(survivor).faults.away = False
        await asyncio.sleep(LEASE - 1)
        assert not (await survivor.row(turn)).state.ended  # the owner might only have been cut off
        await asyncio.sleep(3)
        assert (await survivor.row(turn)).reason is EndReason.INTERRUPTED


@pytest.mark.parametrize("draw", [0.0, 0.999])
async def test_sweeps_are_spread(state: State, draw: float) -> None:
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        survivor = await cluster.start(draw=lambda: draw)
        await asyncio.sleep(IN_TOUCH + 1)
        (turn,) = await _orphans(cluster, 1)
        await asyncio.sleep(LEASE + 1.3)
        assert (await survivor.row(turn)).state.ended


async def test_an_id_is_forgotten_then_the_log_goes(state: State) -> None:
    async with turn_node(state, timings=BRIEF) as node:
        talk = await node.converse()
        request = a_request(conversation=talk, request_id="r1")
        turn = (await node.ask(request)).turn
        await asyncio.sleep(55)
        assert (await node.ask(request)).turn == turn
        await asyncio.sleep(10)
        with pytest.raises(NotFound):
            await node.chat.turn(node.call(), TurnId(""), RequestId("r1"), with_events=False)
        assert (await node.resume(turn)).text
        other = await node.ask(a_request("Another", request_id="r1"))
        assert other.turn != turn
        await asyncio.sleep(HOUR)
        assert isinstance((await node.resume(turn)).error, TurnLogExpired)
        assert await node.log(turn) == []
        row = await node.row(turn)
        assert (row.log_from, row.forgotten) == (row.next_seq, True)
        assert len(await node.said(talk)) == 2
        assert await node.ledger(turn)


async def test_what_failed_does_not_run_again_once_forgotten(state: State) -> None:
    async with turn_node(state, [a_model(script(Hang()))], timings=BRIEF) as node:
        read = await node.ask(a_request(request_id="r1"), node.call(deadline=0.5))
        assert (await node.row(read.turn)).rerunnable
        await asyncio.sleep(65)
        row = await node.row(read.turn)
        assert (row.rerunnable, row.forgotten) == (False, True)


async def test_what_still_runs_keeps_its_id(state: State) -> None:
    async with turn_node(state, [a_model(script("a", Hang()))], timings=BRIEF) as node:
        reader = Reader(node.stream(a_request(request_id="r1"), node.call(deadline=400)))
        turn = (await reader.until(2)).turn
        await asyncio.sleep(200)
        view = await node.chat.turn(node.call(), TurnId(""), RequestId("r1"), with_events=False)
        assert view.turn.id == turn
        reader.leave()
        await _ended(node, turn)


async def _ended(node: TurnNode, turn: TurnId) -> Turn:
    while not (row := await node.row(turn)).state.ended:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.05)
    return row


async def test_an_orphan_is_not_left_for_a_store_that_is_slow_now_and_then(
    fake: FakeState,
) -> None:
    """One slow answer in two seconds: sweeps that follow as usual would be out of touch again."""
    async with turn_cluster(fake, [a_model(script(Hang()))]) as cluster:
        one = await cluster.start()
        (turn,) = await _orphans(cluster, 1)

        async def be_slow() -> None:
            while True:
                fake.faults.hold_commits(touching="readers")
                await asyncio.sleep(1.1)
                fake.faults.release_commits()
                await asyncio.sleep(0.9)

        slowness = asyncio.create_task(be_slow())
        await asyncio.sleep(2 * LEASE + 5)
        slowness.cancel()
        fake.faults.release_commits()
        assert (await one.row(turn)).state.ended
