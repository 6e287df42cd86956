"""A cancel stands once it is committed, whoever hears of it.

Fault 11 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio

import pytest

from core.identifiers import TurnId
from core.ports.state import State
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Hang, Meet, Outcome, Wait, script
from fakes.turn_cluster import LEASE, turn_cluster
from fakes.turn_node import TurnNode, a_model, a_request
from fakes.turn_readers import Read, Reader


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_fault_11_the_cancel_committed_before_the_finish(state: State, where: str) -> None:
    """The model has finished, its settlement is under way, and finds the cancel in the row."""
    meet = Meet(asyncio.Event(), asyncio.Event())
    async with turn_cluster(state, [a_model(script("a", meet, "b"))]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        reader = Reader(one.stream(a_request()))
        turn = (await reader.until(2)).turn
        settling = cluster.store_of(one).faults
        await meet.reached.wait()
        settling.away = True  # the settlement has to wait
        meet.go_on.set()
        await asyncio.sleep(0.1)
        if where == "here":
            settling.away = False
        await (one if where == "here" else two).cancel(turn)
        settling.away = False
        read = await reader.end()
        assert _reason(read) is EndReason.CANCELLED
        assert (await two.row(turn)).reason is EndReason.CANCELLED


async def test_fault_11_the_finish_that_committed_first_stands(state: State) -> None:
    async with turn_cluster(state, [a_model(script("a"))]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        read = await one.ask("Hi")
        view = await two.cancel(read.turn)
        assert (view.turn.reason, view.turn.cancel) == (EndReason.STOP, None)
        assert (await one.resume(read.turn)).encoded == read.encoded


@pytest.mark.parametrize("silent", [True, False])
async def test_fault_11_with_all_notices_lost(state: State, silent: bool) -> None:
    """The provider is stopped within a second, whether or not it says anything."""
    steps = [Wait(100)] if silent else [Wait(0.1), "b"] * 300
    model = a_model(script("a", *steps))
    async with turn_cluster(state, [model]) as cluster:
        cluster.exchange.lose_everything()
        one, two = await cluster.start(), await cluster.start()
        reader = Reader(one.stream(a_request()))
        turn = (await reader.until(2)).turn
        await asyncio.sleep(2.2)
        began = two.clock.monotonic()
        await two.cancel(turn)
        while model.running:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        assert two.clock.monotonic() - began < 1
        assert _reason(await reader.end()) is EndReason.CANCELLED
        assert model.calls[0].outcome is Outcome.STOPPED


@pytest.mark.parametrize("moment", ["before its lease is over", "after it"])
async def test_fault_11_with_the_owner_dead(state: State, moment: str) -> None:
    async with turn_cluster(state, [a_model(script("a", Hang()))]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        turn = (await reader.until(2)).turn
        cluster.kill(one)
        if moment == "after it":
            await _until_orphaned(two, turn)
        view = await two.cancel(turn)
        if moment == "after it":  # it is taken over at once
            assert view.turn.state is TurnState.FINISHED
        await asyncio.sleep(LEASE + 2.5)
        row = await two.row(turn)
        assert (row.state, row.reason) == (TurnState.FINISHED, EndReason.CANCELLED)
        (line,) = await two.ledger(turn)
        assert line.estimated
        again = await two.ask(a_request(request_id="r1"))
        assert (again.text, _reason(again)) == ("a", EndReason.CANCELLED)


async def _until_orphaned(node: TurnNode, turn: TurnId) -> None:
    """Until the lease is over, and the next sweep has not come."""
    lease_until = (await node.row(turn)).lease_until
    while node.clock.now() <= lease_until:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.01)


def _reason(read: Read) -> EndReason | None:
    return read.transcript.finished.reason if read.transcript.finished else None
