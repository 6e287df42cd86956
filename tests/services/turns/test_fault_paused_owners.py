"""The owner is paused past its lease, or its clocks are wrong: what it does when it wakes.

Faults 2, 3, 16 and 20 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.clock import Clock
from core.generation import TokenUsage
from core.ports.state import State
from core.turns.rows import EndReason, Turn, TurnState
from fakes.language_model import Meet, Outcome, Wait, script, words
from fakes.turn_cluster import IN_TOUCH, LEASE, turn_cluster
from fakes.turn_node import ACME, a_model, a_request, loop_clock
from fakes.turn_readers import Reader

TALE = words("one two three four five", pause=0.3)
LONG_ENOUGH = LEASE + 2.5
"""Seconds after which another has taken a paused owner's turn."""


async def test_fault_02_paused_after_begin_no_call_starts(state: State) -> None:
    """Paused between the commit of its attempt and the call; taken over; it wakes."""
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        store = cluster.store_of(one)
        store.after_commit = lambda touched: cluster.pause(one) if "attempts" in touched else None
        reader = Reader(one.stream(a_request(request_id="r1")))
        await asyncio.sleep(LONG_ENOUGH)
        taken = await _only_row(state)
        (estimate,) = await two.ledger(taken.id)
        assert estimate.estimated
        assert (taken.state, taken.reason, taken.epoch) == (
            TurnState.FAILED,
            EndReason.INTERRUPTED,
            2,
        )
        store.after_commit = lambda _: None
        cluster.go_on(one)
        await asyncio.sleep(3)
        assert model.calls == []
        assert await _only_row(state) == taken
        (line,) = await two.ledger(taken.id)
        assert (line.usage, line.estimated) == (TokenUsage(0, 0), False)
        read = await reader.end()
        assert read.error is not None


async def test_fault_02_a_lease_that_only_its_owner_thinks_lost_is_renewed(state: State) -> None:
    """Paused for almost a lease after its attempt's begin: it renews first, and then calls."""
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        store = cluster.store_of(one)
        written: list[frozenset[str]] = []

        def pause(touched: frozenset[str]) -> None:
            written.append(touched)
            if "attempts" in touched and not model.calls:
                cluster.pause(one)

        store.after_commit = pause
        reader = Reader(one.stream(a_request(request_id="r1")))
        await asyncio.sleep(LEASE - 0.2)
        cluster.members[1].state.faults.away = True  # its peer is slow to look
        cluster.members[0].skew.seconds += 0.3
        written.clear()
        cluster.go_on(one)
        while not model.calls:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.001)
        assert any("turns" in touched for touched in written)
        cluster.members[1].state.faults.away = False
        read = await reader.end()
        assert (read.text, (await two.row(read.turn)).epoch) == ("one two three four five", 1)
        assert len(model.calls) == 1


async def test_fault_02_paused_in_a_call_its_usage_comes_late(state: State) -> None:
    meet = Meet(asyncio.Event(), asyncio.Event())
    model = a_model(script("a", meet, "b"))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        turn = (await reader.until(2)).turn
        await meet.reached.wait()
        cluster.pause(one)
        await asyncio.sleep(LONG_ENOUGH)
        taken, log = await two.row(turn), await two.log(turn)
        (estimate,) = await two.ledger(turn)
        assert (estimate.usage, estimate.estimated) == (TokenUsage(11, 1), True)
        meet.go_on.set()  # the provider has gone on meanwhile
        await asyncio.sleep(0.1)
        cluster.go_on(one)
        read = await reader.end()
        await asyncio.sleep(2)
        assert (await two.row(turn), await two.log(turn)) == (taken, log)
        (line,) = await two.ledger(turn)
        assert (line.usage, line.estimated) == (TokenUsage(11, 2, 0, 0), False)
        assert read.text == "a"
        assert len(model.calls) == 1


@pytest.mark.parametrize("wakes", ["in the next run", "after it"])
async def test_fault_03_a_delta_that_waits_through_the_end_and_a_rerun(
    state: State, wakes: str
) -> None:
    meet = Meet(asyncio.Event(), asyncio.Event())
    model = a_model(script(meet, "late"), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        turn = (await reader.until(1)).turn
        await meet.reached.wait()
        cluster.pause(one)
        meet.go_on.set()  # the delta is there, and its append does not get through
        await asyncio.sleep(LONG_ENOUGH)
        assert (await two.row(turn)).rerunnable
        again = Reader(two.stream(a_request(request_id="r1")))
        await again.until(4)
        if wakes == "in the next run":
            cluster.go_on(one)
        read = await again.end()
        cluster.go_on(one)
        await asyncio.sleep(3)
        assert read.text == "one two three four five"
        assert (await two.resume(turn)).encoded == read.encoded
        assert b"late" not in b"".join(event.body for event in await two.log(turn))
        assert (await two.row(turn)).epoch == 3
        assert [line.attempt for line in await two.ledger(turn)] == [1, 2]
        assert (await reader.end()).encoded == read.encoded  # it is followed on


@pytest.mark.parametrize("skew", [8.0, -8.0])
async def test_fault_16_an_owner_whose_clocks_are_wrong_keeps_its_turn(
    state: State, skew: float
) -> None:
    right = loop_clock()
    wrong = Clock(lambda: right.now() + timedelta(seconds=skew), right.monotonic)
    model = a_model(script("a", Wait(30), "b"))
    async with turn_cluster(state, [model]) as cluster:
        one = await cluster.start(clock=wrong)
        await cluster.start()
        cluster.members[0].skew.seconds = skew
        await asyncio.sleep(IN_TOUCH)
        read = await one.ask(a_request())
        row = await one.row(read.turn)
        assert (read.text, row.epoch, row.reason) == ("ab", 1, EndReason.STOP)


@pytest.mark.parametrize("jump", [8.0, -8.0])
async def test_fault_16_clocks_that_jump_take_no_healthy_turn(state: State, jump: float) -> None:
    """Its own clock and that of its peer are set while it runs."""
    model = a_model(script("a", Wait(30), "b"))
    async with turn_cluster(state, [model]) as cluster:
        one, _two = await cluster.start_two()
        reader = Reader(one.stream(a_request()))
        await reader.until(2)
        for member in (*cluster.members, *cluster.members):
            await asyncio.sleep(3)
            member.skew.seconds += jump
        read = await reader.end()
        assert (read.text, (await one.row(read.turn)).epoch) == ("ab", 1)


async def test_fault_20_readers_of_a_stale_runner_get_the_end_from_the_log(state: State) -> None:
    """They were on the tail of a run that another has ended."""
    model = a_model(script("a", Wait(60), "b"))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        readers = [Reader(one.stream(a_request(request_id="r1"))) for _ in range(3)]
        turn = (await readers[0].until(2)).turn
        cluster.pause(one)
        await asyncio.sleep(LONG_ENOUGH)
        whole = await two.resume(turn)
        cluster.go_on(one)
        woken = one.clock.monotonic()
        for reader in readers:
            read = await reader.end()
            assert read.encoded == whole.encoded
            assert read.transcript.finished is not None
            assert read.transcript.finished.reason is EndReason.INTERRUPTED
        assert one.clock.monotonic() - woken < 1
        await asyncio.sleep(0.5)
        assert model.calls[0].outcome is Outcome.STOPPED


async def _only_row(state: State) -> Turn:
    async with state.snapshot(ACME) as view:
        (row,) = await view.turns.list(frozenset(TurnState), 2, None)
    return row
