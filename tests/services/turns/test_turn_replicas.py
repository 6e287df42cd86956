"""Two replicas on one store: a turn is read, kept, cancelled and ended from either."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Reason
from core.identifiers import Seconds, TenantId, TurnId, UserId
from core.ports.bus import OwnerWanted, TurnChanged
from core.ports.state import State
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Hang, Outcome, Wait, script, words
from fakes.turn_cluster import IN_TOUCH, LEASE, turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request
from fakes.turn_readers import Reader, reading
from services.turns.reading import Batches

TALE = words("one two three four five six seven eight nine ten", pause=0.2)
_OTHER, _BOB = TenantId("other"), UserId("bob")
SILENCE = script("a", Wait(20), "b")


async def test_a_reader_elsewhere_gets_every_event_as_it_comes(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        delays: list[float] = []
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            async for _ in two.chat.resume(two.call(), turn, 0, accepts_retractions=False):
                delays.append((two.clock.monotonic() + 0.1) % 0.2 - 0.1)
            read = await here.end()
        elsewhere = await two.resume(turn)
        assert elsewhere.encoded == read.encoded
        assert max(delays[2:]) < 0.05  # the model says a word every 0.2 s


async def test_without_any_notice_it_polls(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            elsewhere = await two.resume(turn)
            ended = two.clock.monotonic()
            read = await here.end()
        assert elsewhere.encoded == read.encoded
        assert ended - 2.0 < 0.6  # the model is done after 2 s


async def test_the_same_request_on_another_replica_attaches(state: State) -> None:
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(request_id="r1"))) as here:
            await here.until(2)
            there = await two.ask(a_request(request_id="r1"))
            read = await here.end()
        assert there.encoded == read.encoded
        assert len(model.calls) == 1


async def test_notices_go_out_only_where_somebody_reads_elsewhere(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        bus = cluster.members[0].bus
        await one.ask("Hi")
        assert bus.published == []
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            read = await two.resume(turn)
            await here.end()
        assert read.text.endswith("ten")
        assert set(bus.published) == {TurnChanged(ACME, turn)}
        assert cluster.members[1].bus.published == [
            OwnerWanted(one.turns._replica.boot, ACME, turn)
        ]


async def test_one_who_reads_elsewhere_keeps_it_alive(state: State) -> None:
    """Its owner's own reader leaves, and the run goes on for the other."""
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            there = Reader(_resumed(two, turn))
            await there.until(1)
        read = await there.end()
        assert read.text.endswith("ten")
        assert (await one.row(turn)).reason is EndReason.STOP


@pytest.mark.parametrize("notices", [True, False])
async def test_the_last_one_leaves_elsewhere_and_it_stops(state: State, notices: bool) -> None:
    model = a_model(SILENCE)
    async with turn_cluster(state, [model]) as cluster:
        if not notices:
            cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            there = Reader(_resumed(two, turn))
            await there.until(2)
        await asyncio.sleep(3)
        assert model.running == 1
        there.leave()
        await asyncio.sleep(0.5 if notices else 1.0)
        assert model.running == 0
        await _ended(one, turn)
        assert (await one.row(turn)).reason is EndReason.ABANDONED
        assert await _reader_rows(one, turn) == []


async def test_a_replica_that_dies_is_no_reader_for_long(state: State) -> None:
    model = a_model(SILENCE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            there = Reader(_resumed(two, turn))
            await there.until(2)
        await asyncio.sleep(1)
        cluster.kill(two)
        await asyncio.sleep(1.4)
        assert model.running == 1  # its row has not expired
        await asyncio.sleep(1.6)
        assert model.running == 0


async def test_a_slow_reader_elsewhere_keeps_its_place(state: State) -> None:
    """It takes a batch and then does nothing for a minute: the turn is not abandoned."""
    model = a_model(words(" ".join("word" for _ in range(400)), pause=0.1))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(), one.call(deadline=300))) as here:
            turn = (await here.until(1)).turn
            slow = _resumed(two, turn)
            first = await anext(slow)
        await asyncio.sleep(35)
        assert model.running == 1
        last = first.last
        async for batch in slow:
            last = batch.last
        assert last == (await one.row(turn)).next_seq - 1


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("notices", [True, False])
async def test_a_cancel_elsewhere_stops_the_provider(
    state: State, notices: bool, phase: float
) -> None:
    """Whenever its owner last wrote."""
    model = a_model(SILENCE)
    async with turn_cluster(state, [model]) as cluster:
        if not notices:
            cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(2)).turn
            await asyncio.sleep(3 + phase)
            began = one.clock.monotonic()
            await two.cancel(turn)
            read = await here.end()
        assert one.clock.monotonic() - began < (0.05 if notices else 0.8)
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.CANCELLED
        assert model.calls[0].outcome is Outcome.STOPPED


async def test_a_cancel_beats_an_abandon_that_came_first(state: State) -> None:
    model = a_model(script("a", Hang(stubborn=0.15)))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(2)).turn
        while (await one.row(turn)).cancel is None:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        assert (await one.row(turn)).cancel is EndReason.ABANDONED
        await two.cancel(turn)
        await _ended(one, turn)
        assert (await one.row(turn)).reason is EndReason.CANCELLED


async def test_a_call_elsewhere_detaches_it(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(request_id="r1"))) as here:
            turn = (await here.until(1)).turn
            with reading(two.stream(a_request(request_id="r1", detach=True))) as there:
                await there.until(1)
        await asyncio.sleep(5)
        assert (await one.row(turn)).reason is EndReason.STOP


async def test_an_owner_that_dies_is_replaced_by_whoever_reads(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start_two()
        here = Reader(one.stream(a_request(request_id="r1")))
        turn = (await here.until(3)).turn
        there = Reader(_resumed(two, turn))
        seen = await there.until(3)
        cluster.kill(one)
        died = two.clock.monotonic()
        read = await there.end()
        assert LEASE - 0.5 < two.clock.monotonic() - died < LEASE + 1.1
        assert read.encoded.startswith(seen.encoded)
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.INTERRUPTED


async def test_a_replica_that_has_just_begun_judges_nobody(state: State) -> None:
    """It was not in touch with the store through the lease that ran out."""
    async with turn_cluster(state, [a_model(SILENCE)]) as cluster:
        one = await cluster.start()
        here = Reader(one.stream(a_request()))
        turn = (await here.until(2)).turn
        cluster.kill(one)
        await asyncio.sleep(LEASE + 0.5)
        two = await cluster.start()
        await asyncio.sleep(LEASE - 0.5)
        assert (await two.get(turn)).turn.state is TurnState.RUNNING
        await asyncio.sleep(IN_TOUCH - LEASE + 1)
        assert (await two.row(turn)).reason is EndReason.INTERRUPTED


async def test_a_rerun_elsewhere_is_followed_on(state: State) -> None:
    """The run that a reader follows fails, and runs again on another replica."""
    model = a_model(script(Hang()), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        here = Reader(one.stream(a_request(request_id="r1", linger=Seconds(0.1))))
        turn = (await here.until(1)).turn
        here.leave()
        await _ended(one, turn)
        with reading(two.stream(a_request(request_id="r1"))) as there:
            await there.until(3)
            follows = await one.resume(turn)
            read = await there.end()
        assert follows.encoded == read.encoded
        assert follows.kinds[:2] == ["Started", "Started"]


async def test_one_who_asks_elsewhere_as_it_is_abandoned_gets_it_run_again(state: State) -> None:
    """Attached to a run that is marked ABANDONED: it waits for the end, and claims again, once."""
    model = a_model(script(Hang(stubborn=0.15)), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(request_id="r1"))) as here:
            turn = (await here.until(1)).turn
            while not model.calls:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.001)
        while (await one.row(turn)).cancel is None:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.001)
        assert not (await one.row(turn)).state.ended
        read = await two.ask(a_request(request_id="r1"))
        assert (read.turn, read.error) == (turn, None)
        assert read.text.endswith("nine ten")
        assert (await one.row(turn)).owner == two.turns._replica.boot


async def test_another_tenants_turn_does_not_exist_elsewhere_either(state: State) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request())) as here:
            turn = (await here.until(1)).turn
            for foreign in (two.call(tenant=_OTHER), two.call(user=_BOB)):
                read = await two.resume(turn, 0, foreign)
                assert read.error is not None
                assert read.error.reason is Reason.RESOURCE_NOT_FOUND
            assert await _reader_rows(one, turn) == []


async def _ended(node: TurnNode, turn: TurnId) -> None:
    while not (await node.row(turn)).state.ended:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.01)


async def _reader_rows(node: TurnNode, turn: TurnId) -> list[object]:
    async with node.state.snapshot(ACME) as view:
        return list(await view.readers.of(turn))


def _resumed(node: TurnNode, turn: TurnId, after: int = 0) -> Batches:
    return node.chat.resume(node.call(deadline=600), turn, after, accepts_retractions=False)
