"""Readers: each gets every event once, in order, at its own pace, and slows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from core.errors import TurnLogExpired, TurnLogLost
from core.identifiers import TurnId
from core.ports.state import State
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Wait, script, words
from fakes.state import FakeState, FakeTransaction
from fakes.state_steps import until
from fakes.turn_node import ACME, TurnNode, a_model, a_request, turn_node
from fakes.turn_readers import Reader, read_all, reading
from services.turns.reading import Batches
from services.turns.seat import Seat
from services.turns.timings import TurnTimings

SMALL_TAIL = TurnTimings(tail_events=4, tail_bytes=4_000, message_bytes=300, read_events=3)
TALE = words(" ".join(f"word-{n}" for n in range(200)), pause=0.03)


async def test_one_who_never_reads_slows_nobody(state: State) -> None:
    """Two readers on one turn, one of which never reads."""
    model = a_model(TALE)
    async with turn_node(state, [model], timings=SMALL_TAIL) as node:
        began = node.clock.monotonic()
        with reading(node.stream(a_request())) as reads:
            turn = (await reads.until(1)).turn
            sleeper = _resumed(node, turn)
            first = await anext(sleeper)
            read = await reads.end()
        assert node.clock.monotonic() - began == pytest.approx(200 * 0.03, abs=0.2)
        assert read.text.endswith("word-199")
        late = await read_all(sleeper)
        assert first.encoded + late.encoded == read.encoded
        assert late.text.endswith("word-199")


async def test_what_a_run_keeps_in_memory_is_bounded(state: State) -> None:
    async with turn_node(state, [a_model(TALE)], timings=SMALL_TAIL) as node:
        with reading(node.stream(a_request())) as reads:
            turn = (await reads.until(1)).turn
            run = node.turns._runs.get(turn)
            assert run is not None
            async with aclosing(_resumed(node, turn)) as sleeper:
                await anext(sleeper)
                await reads.end()
        assert len(run.tail._ends) <= 4


async def test_messages_are_of_a_bounded_size(state: State) -> None:
    async with turn_node(state, [a_model(TALE)], timings=SMALL_TAIL) as node:
        read = await node.ask("Tell")
        late = await node.resume(read.turn)
        assert late.encoded == read.encoded
        assert max(len(batch.encoded) for batch in late.batches) <= 300


@pytest.mark.parametrize("seed", range(6))
async def test_slow_and_quick_readers_get_the_same(state: State, seed: int) -> None:
    """Whatever comes from the tail, whatever from the log: each number once, in order."""
    async with turn_node(state, [a_model(TALE)], timings=SMALL_TAIL) as node:
        pauses = [(seed * 7 + n * 13) % 17 / 100 for n in range(40)]
        with reading(node.stream(a_request())) as reads:
            turn = (await reads.until(1)).turn

            async def slowly(after: int) -> list[int]:
                got: list[int] = []
                async for batch in _resumed(node, turn, after):
                    got.append(batch.last)
                    await asyncio.sleep(pauses[len(got) % 40])
                return got

            slow = asyncio.gather(*(slowly(after) for after in range(2)))
            read = await reads.end()
            for got in await slow:
                assert got == sorted(set(got))
                assert got[-1] == read.numbers[-1]
        assert read.numbers == list(range(1, len(read.numbers) + 1))


async def test_the_end_is_not_missed_between_two_looks(fake: FakeState) -> None:
    """Fault 19: settlement commits between a reader's log read and its state read."""
    hold = asyncio.Event()

    @asynccontextmanager
    async def slow_snapshot(scope: object) -> AsyncIterator[FakeTransaction]:
        async with snapshot(ACME) as view:
            await view.turns.get(turn)  # the snapshot's moment
            await hold.wait()
            yield view

    async def sit() -> Seat:
        return node.turns.seat(node.call(), turn)

    snapshot = fake.snapshot
    async with turn_node(fake, [a_model(script("a", Wait(0.1), "b"))], timings=SMALL_TAIL) as node:
        with reading(node.stream(a_request())) as reads:
            turn = (await reads.until(1)).turn
            fake.snapshot = slow_snapshot  # type: ignore[method-assign]
            late = Reader(node.turns.read(sit, 0))
            read = await reads.end()
            fake.snapshot = snapshot  # type: ignore[method-assign]
            hold.set()
            assert (await late.end()).encoded == read.encoded


async def test_readers_of_a_stale_runner_get_the_end_from_the_log(state: State) -> None:
    """Fault 20: another has taken the turn over; local readers read on from the log."""
    model = a_model(script("a", Wait(1), "b"))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request())) as reads:
            turn = (await reads.until(2)).turn
            async with turn_node(state, [model], boot="boot-2") as taker:
                assert taker.settled == 1  # as a process that holds the data folder alone
                read = await reads.end()
                await until(lambda: not node.turns._runs.tasks)  # its attempt's end is written
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.INTERRUPTED
        assert read.text == "a"
        assert read.numbers == [1, 2, 3]
        assert (await node.row(turn)).epoch == 2
        assert model.running == 0
        assert len(await node.ledger(turn)) == 1


async def test_a_reader_of_a_compacted_log_is_told(fake: FakeState) -> None:
    """Fault 20: compaction under a lagging reader: no gap."""
    async with turn_node(fake, [a_model(TALE)], timings=SMALL_TAIL) as node:
        read = await node.ask("Tell")
        lagging = _resumed(node, read.turn)
        first = await anext(lagging)
        row = await node.row(read.turn)
        async with fake.transaction(ACME) as tx:
            tx.turns.update(replace(row, log_from=row.next_seq))
        rest = await read_all(lagging)
        assert first.last < row.next_seq - 1
        assert isinstance(rest.error, TurnLogExpired)
        assert rest.batches == []
        assert isinstance((await node.resume(read.turn)).error, TurnLogExpired)
        with pytest.raises(TurnLogExpired):
            await node.get(read.turn, with_events=True)
        done = await node.resume(read.turn, row.next_seq - 1)
        assert (done.batches, done.error) == ([], None)


@pytest.mark.parametrize("kept", [0, 2])
async def test_a_log_that_lost_events_is_told_and_not_waited_for(state: State, kept: int) -> None:
    """As a store may be after a failover: the row says that there were more."""
    async with turn_node(state, [a_model(TALE)], timings=SMALL_TAIL) as node:
        read = await node.ask("Tell")
        await asyncio.sleep(1)
        row, log = await node.row(read.turn), await node.log(read.turn)
        async with state.transaction(ACME) as tx:
            await tx.turns.lock([row.id])
            tx.events.delete(row)
            tx.events.append(row, log[:kept])
        broken = await node.resume(read.turn)
        assert broken.numbers == [event.seq for event in log[:kept]]
        assert isinstance(broken.error, TurnLogLost)
        assert broken.error.metadata["last_sequence"] == str(kept)


async def test_a_reader_gets_what_is_there_in_one_message(state: State) -> None:
    async with turn_node(state, [a_model(words("a b c d e", pause=0.05))]) as node:
        read = await node.ask("Hi")
        late = await node.resume(read.turn)
        assert (len(late.batches), late.encoded) == (1, read.encoded)


async def test_text_that_comes_together_travels_together(state: State) -> None:
    async with turn_node(state, [a_model(script("a", "b", "c", "d"))]) as node:
        read = await node.ask("Hi")
        assert read.kinds == ["Started", "Text", "AttemptUsed", "Finished"]
        assert read.text == "abcd"


async def test_a_quick_reader_has_each_word_within_a_tick(state: State) -> None:
    delays: list[float] = []
    async with turn_node(state, [a_model(words("a b c d", pause=0.5))]) as node:
        async for _ in node.stream(a_request()):
            delays.append((node.clock.monotonic() + 0.1) % 0.5 - 0.1)
    assert max(delays[:-1]) < 0.01


async def test_readers_come_and_go_without_a_trace(state: State) -> None:
    """A hundred readers that leave at any moment: the run goes on, and nothing is left of them."""
    async with turn_node(state, [a_model(TALE)]) as node:
        with reading(node.stream(a_request())) as stays:
            turn = (await stays.until(1)).turn
            for n in range(100):
                goes = Reader(_resumed(node, turn))
                for _ in range(n % 9):
                    await asyncio.sleep(0)
                goes.leave()
            read = await stays.end()
        assert read.text.endswith("word-199")
        assert (await node.row(turn)).state is TurnState.FINISHED


@pytest.mark.parametrize("timings", [TurnTimings(), SMALL_TAIL])
async def test_what_is_taken_is_what_is_iterated(state: State, timings: TurnTimings) -> None:
    """Servers take what is there, and wait where that is nothing; the rest iterates."""
    async with turn_node(state, [a_model(TALE)], timings=timings) as node:
        call = node.call()
        stream, taken, waits = node.stream(a_request(), call), b"", 0
        while not stream.over:
            if (encoded := stream.take()) is not None:
                taken += encoded
                assert stream.take() is None
            elif not stream.over:
                waits += 1
                await stream.more()
        assert stream.take() is None
        assert taken == (await node.resume(call.facts.turn_id)).encoded
        assert waits > 2


async def test_a_turn_that_ended_is_read_without_its_runner(fake: FakeState) -> None:
    async with turn_node(fake) as node:
        read = await node.ask("Hi")
        await asyncio.sleep(1)
        assert (await node.resume(read.turn)).encoded == read.encoded
    async with turn_node(fake, boot="boot-2") as other:
        assert (await other.resume(read.turn)).encoded == read.encoded


def _resumed(node: TurnNode, turn: TurnId, after: int = 0) -> Batches:
    return node.chat.resume(node.call(), turn, after, accepts_retractions=False)
