"""The store is away or full, or a provider never ends: no text is lost, and spending stops.

Faults 15 and 18 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core.errors import Reason
from core.ports.state import State
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Hang, script, words
from fakes.turn_cluster import Cluster, turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request
from fakes.turn_readers import Read, Reader
from services.turns.run import Run

STREAMS = 100
OUTAGE = 30.0


@pytest.mark.parametrize("peer", ["away too", "paused through it"])
async def test_fault_15_the_store_is_away_for_30_s(state: State, peer: str) -> None:
    """A hundred streams: none is interrupted by a peer, none sends what is not in the log."""
    model = a_model(words(" ".join(f"w{n}" for n in range(40)), pause=0.1))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        readers = await _streams(one)
        for member in cluster.members:
            member.state.faults.away = True
        if peer == "paused through it":
            cluster.pause(two)
        logged = await _logged(state, readers)
        await asyncio.sleep(OUTAGE - 1)
        shown = [len(reader.read.numbers) for reader in readers]
        assert all(seen <= kept for seen, kept in zip(shown, logged, strict=True))
        assert await _logged(state, readers) == logged
        for member in cluster.members:
            member.state.faults.away = False
        cluster.go_on(two)
        for reader in readers:
            read = await reader.end()
            assert read.error is None
            assert read.text.endswith("w39")
            assert read.numbers == list(range(1, len(read.numbers) + 1))
            assert (await one.row(read.turn)).epoch == 1


async def test_fault_15_a_store_that_stays_away_stops_the_spending(state: State) -> None:
    model = a_model(words(" ".join(f"w{n}" for n in range(1000)), pause=0.1))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        readers = await _streams(one, 5)
        for member in cluster.members:
            member.state.faults.away = True
        await asyncio.sleep(OUTAGE + 1.5)
        assert model.running == 0
        await _told_then_settled(cluster, two, readers, Reason.SERVICE_UNAVAILABLE)


async def test_fault_15_the_disk_is_full_for_a_while(state: State) -> None:
    model = a_model(words(" ".join(f"w{n}" for n in range(40)), pause=0.1))
    async with turn_cluster(state, [model]) as cluster:
        one, _two = await cluster.start_two()
        readers = await _streams(one)
        for member in cluster.members:
            member.state.full = True
        logged = await _logged(state, readers)
        await asyncio.sleep(OUTAGE - 1)
        assert await _logged(state, readers) == logged
        for member in cluster.members:
            member.state.full = False
        for reader in readers:
            read = await reader.end()
            assert (read.error, read.text[-3:]) == (None, "w39")
            assert (await one.row(read.turn)).epoch == 1


async def test_fault_15_a_disk_that_stays_full_ends_the_turns(state: State) -> None:
    """Those that it concerns, by the protocol; the process goes on."""
    model = a_model(words(" ".join(f"w{n}" for n in range(1000)), pause=0.1))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        readers = await _streams(one, 5)
        for member in cluster.members:
            member.state.full = True
        await asyncio.sleep(OUTAGE + 1.5)
        assert model.running == 0
        await _told_then_settled(cluster, two, readers, Reason.STORAGE_FULL)
        after = await one.ask("after", one.call(deadline=1))
        assert after.text.startswith("w0 w1")


@pytest.mark.parametrize("stubborn", [0.0, 100.0])
async def test_fault_18_a_provider_that_hangs_for_ever(state: State, stubborn: float) -> None:
    """Its run renews in good health, and ends at the deadline though the provider does not."""
    model = a_model(script("a", Hang(stubborn=stubborn)))
    async with turn_cluster(state, [model]) as cluster:
        one, _two = await cluster.start_two()
        began = one.clock.monotonic()
        read = await one.ask(a_request(), one.call(deadline=20))
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert 20 <= one.clock.monotonic() - began + 0.01 < 20 + 1
        await asyncio.sleep(100)


async def test_fault_18_a_stuck_runner_under_a_healthy_renewal(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It misses its own deadline: at the hard one its peer ends the turn, and nothing renews."""

    async def stuck(self: Run, producing: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Run, "_watch", stuck)
    async with turn_cluster(state, [a_model(script("a", Hang()))]) as cluster:
        one, two = await cluster.start_two()
        began = one.clock.monotonic()
        reader = Reader(one.stream(a_request(request_id="r1"), one.call(deadline=20)))
        turn = (await reader.until(2)).turn
        await asyncio.sleep(28)
        row = await two.row(turn)
        assert row.state is TurnState.RUNNING
        assert row.lease_until > two.clock.now()
        read = await reader.end()
        assert 30 < one.clock.monotonic() - began < 32.5
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.INTERRUPTED
        cluster.kill(one)


async def test_fault_18_a_stuck_runner_that_is_alone(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is there: its own replica ends it."""

    async def stuck(self: Run, producing: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Run, "_watch", stuck)
    async with turn_cluster(state, [a_model(script("a", Hang()))]) as cluster:
        one = await cluster.start()
        reader = Reader(one.stream(a_request(request_id="r1"), one.call(deadline=20)))
        read = await reader.end()
        assert 30 < one.clock.monotonic() < 32.5
        assert read.kinds == ["Started", "Text", "Finished"]
        cluster.kill(one)


async def _streams(node: TurnNode, count: int = STREAMS) -> Sequence[Reader]:
    """Readers in the middle of their answers."""
    readers = [Reader(node.stream(a_request(request_id=f"r{n}"))) for n in range(count)]
    await asyncio.gather(*(reader.until(3) for reader in readers))
    await asyncio.sleep(0.35)
    return readers


async def _logged(state: State, readers: Sequence[Reader]) -> list[int]:
    lengths: list[int] = []
    for reader in readers:
        async with state.snapshot(ACME) as view:
            lengths.append(len(await view.events.read(reader.read.turn, 0, 1000)))
    return lengths


async def _told_then_settled(
    cluster: Cluster, node: TurnNode, readers: Sequence[Reader], reason: Reason
) -> None:
    """Nobody waits longer than the hold; what was held back is in the log once it can be."""
    told: list[Read] = []
    for reader in readers:
        assert reader.task.done()
        told.append(await reader.end())
    assert {read.error.reason for read in told if read.error} == {reason}
    assert all(read.error and read.error.retry_after for read in told)
    for member in cluster.members:
        member.state.faults.away = member.state.full = False
    await asyncio.sleep(1)
    for before in told:
        row = await node.row(before.turn)
        assert (row.state, row.reason, row.epoch) == (TurnState.FAILED, EndReason.ERROR, 1)
        read = await node.resume(before.turn)
        assert read.encoded.startswith(before.encoded)
        assert len(read.text) > len(before.text)
        assert len(await node.ledger(before.turn)) == 1
