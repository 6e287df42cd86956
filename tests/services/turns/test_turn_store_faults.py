"""A store that loses replies, refuses, goes away or comes back: no turn is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.errors import Reason
from core.identifiers import Seconds, TurnId
from core.ports.state import State, StoreUnavailable
from core.turns.events import Finished
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Hang, ScriptedModel, Wait, script, words
from fakes.state import CommitFault, FakeState
from fakes.turn_cluster import turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request, open_node, turn_node
from fakes.turn_readers import Read, Reader, reading
from services.turns.timings import TurnTimings

TALE = words("one two three four five", pause=0.3)
STEPS = ("idempotency", "events", "attempts", "executions")
"""The table by which a claim, an append, an attempt's begin or end, a settlement is told."""


async def _is_whole(node: TurnNode, read: Read, model: ScriptedModel) -> None:
    """One turn, one call of the provider, one charge, one end, every event once."""
    assert read.error is None
    assert read.text == "one two three four five"
    assert read.numbers == list(range(1, len(read.numbers) + 1))
    assert [type(e) for e in read.events].count(Finished) == 1
    assert isinstance(read.events[-1], Finished)
    log = await node.log(read.turn)
    assert b"".join(event.body for event in log) == read.encoded
    row = await node.row(read.turn)
    assert (row.state, row.run, row.epoch) == (TurnState.FINISHED, 1, 1)
    assert len(model.calls) == 1
    lines = await node.ledger(read.turn)
    assert [line.estimated for line in lines if line.usage.completion] == [False]
    assert all(attempt.booked for attempt in await node.attempts(read.turn))
    async with node.state.snapshot(ACME) as view:
        assert await view.turns.running(10) == []


@pytest.mark.parametrize("touching", STEPS)
@pytest.mark.parametrize("count", [1, 3])
async def test_a_lost_reply_changes_nothing(fake: FakeState, touching: str, count: int) -> None:
    """Fault 4: lose the reply of claim, append, begin, settle."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.REPLY_LOST, count, touching=touching)
        await _is_whole(node, await node.ask("count", request_id="r1"), model)


@pytest.mark.parametrize("touching", STEPS)
@pytest.mark.parametrize("count", [1, 3])
async def test_a_lost_commit_changes_nothing(fake: FakeState, touching: str, count: int) -> None:
    """Fault 4: it did not happen, and nobody was told."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.LOST, count, touching=touching)
        await _is_whole(node, await node.ask("count", request_id="r1"), model)


@pytest.mark.parametrize("touching", STEPS[1:])
@pytest.mark.parametrize("count", [1, 3])
async def test_a_refused_commit_is_made_again(fake: FakeState, touching: str, count: int) -> None:
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.REFUSED, count, touching=touching)
        read = await node.ask("count", request_id="r1")
        await _is_whole(node, read, model)
        assert len(await node.attempts(read.turn)) == 1


async def test_a_claim_waits_for_a_store_that_is_away(fake: FakeState) -> None:
    """As a restart of the store shows: waiting, not an error."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.away = True
        asking = asyncio.create_task(node.ask("count", request_id="r1"))
        await asyncio.sleep(25)
        fake.faults.away = False
        await _is_whole(node, await asking, model)


@pytest.mark.parametrize(("deadline", "waited"), [(100.0, 30.0), (5.0, 5.0)])
async def test_a_claim_does_not_wait_for_ever(
    fake: FakeState, deadline: float, waited: float
) -> None:
    async with turn_node(fake, [a_model(TALE)]) as node:
        fake.faults.away = True
        began = node.clock.monotonic()
        refused = await node.ask("count", node.call(deadline=deadline), request_id="r1")
        assert isinstance(refused.error, StoreUnavailable)
        assert refused.error.retry_after
        assert node.clock.monotonic() - began == pytest.approx(waited, abs=0.5)
        fake.faults.away = False
        assert fake.tables.turns == {}


async def test_a_claim_is_told_of_a_full_disk_at_once(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        node = await cluster.start()
        cluster.store_of(node).full = True
        refused = await node.ask("count", request_id="r1")
        assert refused.error is not None
        assert refused.error.reason is Reason.STORAGE_FULL
        assert node.clock.monotonic() < 1
        cluster.store_of(node).full = False
        assert (await node.ask("count", request_id="r1")).text == "one two three four five"


@pytest.mark.parametrize("fault", list(CommitFault))
@pytest.mark.parametrize("nth", range(1, 10))
async def test_any_commit_of_a_turn_may_fail(fake: FakeState, fault: CommitFault, nth: int) -> None:
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        _fail_nth(fake, fault, nth)
        read = await node.ask("count", request_id="r1")
        await _is_whole(node, read, model)


async def test_a_turn_that_nobody_runs_does_not_block_its_branch(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(script("a"))]) as node:
        talk = await node.converse()
        turn = await _leave_an_orphan(fake, node, conversation=talk)
        busy = await node.ask("again", conversation=talk)
        assert busy.error is not None
        assert busy.error.reason is Reason.BRANCH_BUSY
        await asyncio.sleep(7)  # a lease in touch with the store, and a sweep
        assert (await node.ask("again", conversation=talk)).text == "a"
        assert (await node.row(turn)).state is TurnState.FAILED


async def test_get_turn_settles_what_nobody_runs(fake: FakeState) -> None:
    async with turn_node(fake) as node:
        turn = await _leave_an_orphan(fake, node)
        assert (await node.get(turn)).turn.state is TurnState.RUNNING
        await asyncio.sleep(6)
        view = await node.get(turn)
        assert (view.turn.state, view.turn.reason) == (TurnState.FAILED, EndReason.INTERRUPTED)
        assert view.turn.rerunnable


async def test_a_store_that_is_away_holds_the_text_back(fake: FakeState) -> None:
    """Fault 15: away for 30 s under many streams: none is interrupted, none sends unlogged text."""
    model = a_model(words(" ".join(f"w{n}" for n in range(40)), pause=0.1))
    async with turn_node(fake, [model]) as node:
        streams = [node.ask("Hi", request_id=f"r{n}") for n in range(100)]
        reads = [asyncio.create_task(stream) for stream in streams]
        await asyncio.sleep(1)
        fake.faults.away = True
        logged = {turn: len(owned.row) for turn, owned in fake.tables.events.items()}
        await asyncio.sleep(29)
        assert not any(read.done() for read in reads)
        assert {turn: len(owned.row) for turn, owned in fake.tables.events.items()} == logged
        fake.faults.away = False
        for read in await asyncio.gather(*reads):
            assert read.error is None
            assert read.text.endswith("w39")
            assert read.numbers == list(range(1, len(read.numbers) + 1))


async def test_no_reader_sees_what_is_not_in_the_log(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(TALE)]) as node:
        with reading(node.stream(a_request())) as reader:
            await reader.until(3)
            fake.faults.away = True
            seen = len(reader.read.numbers)
            await asyncio.sleep(10)
            assert len(reader.read.numbers) == seen
            fake.faults.away = False
            assert (await reader.end()).text == "one two three four five"


async def test_a_store_that_stays_away_stops_the_spending(fake: FakeState) -> None:
    """Past the hold the provider is stopped, of every turn; what ended is settled when it can."""
    model = a_model(words(" ".join(f"w{n}" for n in range(1000)), pause=0.1))
    async with turn_node(fake, [model]) as node:
        reads = [asyncio.create_task(node.ask("Hi", detach=True)) for _ in range(3)]
        await asyncio.sleep(1)
        fake.faults.away = True
        await asyncio.sleep(32)
        assert model.running == 0
        told = [read.result() for read in reads]  # nobody waits for longer than the hold
        assert {read.error.reason for read in told if read.error} == {Reason.SERVICE_UNAVAILABLE}
        assert all(read.error and read.error.retry_after for read in told)
        fake.faults.away = False
        for before in told:
            read = await node.resume(before.turn)
            assert read.encoded.startswith(before.encoded)
            assert read.error is not None
            assert read.error.reason is Reason.SERVICE_UNAVAILABLE
            assert len(read.text) > len(before.text)
            assert read.numbers == list(range(1, len(read.numbers) + 1))
            assert len(await node.ledger(read.turn)) == 1


async def test_what_is_held_back_is_bounded(fake: FakeState) -> None:
    timings = TurnTimings(hold_bytes=1000)
    model = a_model(script(*["x" * 100] * 500))
    async with turn_node(fake, [model], timings=timings) as node:
        asking = asyncio.create_task(node.ask("Hi"))
        await asyncio.sleep(0)
        while not model.calls:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0)
        fake.faults.away = True
        await asyncio.sleep(20)
        assert len(model.calls[0].events) < 40
        fake.faults.away = False
        assert (await asking).text == "x" * 50_000


async def test_a_store_that_cannot_keep_up_slows_the_provider(fake: FakeState) -> None:
    """A commit takes half a second: between two of them no more is read than may be held back."""
    timings = TurnTimings(hold_bytes=1000)
    model = a_model(script(*["x" * 100] * 100))
    async with turn_node(fake, [model], timings=timings) as node:
        asking = asyncio.create_task(node.ask("Hi"))
        before = 0
        while not asking.done():
            fake.faults.hold_commits(touching="events")
            await asyncio.sleep(0.5)
            read = len(model.calls[0].events) if model.calls else 0
            assert read - before <= 12
            before = read
            fake.faults.release_commits()
            await asyncio.sleep(0)
        assert (await asking).text == "x" * 10_000


async def test_a_deadline_that_passes_while_the_store_is_away(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(script("a", Hang()))]) as node:
        with reading(node.stream(a_request(), node.call(deadline=2))) as reader:
            await reader.until(2)
            fake.faults.away = True
            await asyncio.sleep(10)
            fake.faults.away = False
            read = await reader.end()
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert len(await node.ledger(read.turn)) == 1


async def test_one_stale_turn_does_not_fail_its_neighbours(state: State) -> None:
    """Fault 22: one stale turn in a group commit of 32: the other 31 go on."""
    model = a_model(words("a b c", pause=0.5))
    async with turn_node(state, [model]) as node:
        reads = [asyncio.create_task(node.ask("Hi", request_id=f"r{n}")) for n in range(32)]
        await asyncio.sleep(0.7)
        async with state.transaction(ACME) as tx:
            rows = await tx.turns.running(100)
            stale = (await tx.turns.lock([rows[7].id]))[rows[7].id]
            tx.turns.update(replace(stale, epoch=2))
        done, going_on = await asyncio.wait(reads, timeout=3)
        assert len(done) == 31
        assert {read.result().text for read in done} == {"a b c"}
        assert model.running == 0
        await asyncio.wait(going_on)  # until the lease of its new, silent owner is over
        (late,) = (read.result() for read in going_on)
        assert late.text == "a "
        assert late.transcript.finished is not None
        assert late.transcript.finished.reason is EndReason.INTERRUPTED


async def test_a_process_that_ends_without_its_store_does_not_hang(fake: FakeState) -> None:
    node = await open_node(fake, [a_model(TALE)])
    with reading(node.stream(a_request())) as reader:
        await reader.until(2)
        fake.faults.away = True
        closing = asyncio.create_task(node.turns.drain(Seconds(1)))
        await closing
        await node.turns.close()
        await asyncio.sleep(1)
    fake.faults.away = False
    async with turn_node(fake, boot="boot-2") as next_life:
        assert next_life.settled == 1


async def _until_claimed(fake: FakeState) -> None:
    while not fake.tables.turns:  # noqa: ASYNC110 - a commit is some steps away
        await asyncio.sleep(0)


async def _leave_an_orphan(fake: FakeState, node: TurnNode, **fields: object) -> TurnId:
    """A row whose claim committed, and whose process never heard of it while its lease lasted."""
    fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
    asking = asyncio.create_task(node.ask("lost", node.call(deadline=0.5), **fields))
    await _until_claimed(fake)
    fake.faults.away = True
    assert (await asking).error is not None
    fake.faults.away = False
    (turn,) = fake.tables.turns
    return turn


def _fail_nth(fake: FakeState, fault: CommitFault, nth: int) -> None:
    """Let the nth commit from now on fail."""
    before = fake.faults.before_commit
    count = 0

    async def counted(touched: Sequence[str]) -> CommitFault | None:
        nonlocal count
        if set(touched) == {"readers"}:  # a sweep, which is no turn's
            return await before(touched)
        count += 1
        return fault if count == nth else await before(touched)

    fake.faults.before_commit = counted  # type: ignore[method-assign,assignment]


async def test_a_slow_claim_does_not_make_the_turn_longer(fake: FakeState) -> None:
    """Its deadline counts from before the claim: when that is known too late, nothing is called."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.hold_commits(touching="idempotency")
        asking = asyncio.create_task(node.ask("count", node.call(deadline=1), request_id="r1"))
        await fake.faults.wait_until_held()
        await asyncio.sleep(3)
        fake.faults.release_commits()
        read = await asking
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert not model.calls


async def test_nothing_follows_what_was_given_up_at_the_end(fake: FakeState) -> None:
    """The process ends while a word can't be stored: its turn is not settled as if it had been."""
    async with turn_node(fake, [a_model(script("one ", Wait(1), "two ", Wait(60)))]) as node:
        talk = await node.converse()
        reader = Reader(node.stream(a_request("count", conversation=talk)))
        turn = (await reader.until(2)).turn
        fake.faults.hold_commits(touching="events")
        await fake.faults.wait_until_held()
        fake.faults.fail_commits(CommitFault.REFUSED, touching="events")
        await node.turns.drain(Seconds(0.0))
        closing = asyncio.create_task(node.turns.close())
        await asyncio.sleep(0.1)
        fake.faults.release_commits()
        await closing
        reader.leave()
        await asyncio.sleep(1)  # what the call of the model came to is written on its own
    async with turn_node(fake, boot="boot-2") as node:  # its next life settles what the log holds
        view = await node.get(turn)
        assert view.transcript.text == "one "
        assert [m.message.text for m in await node.said(talk)] == ["count", "one "]
