"""The store commits and is not heard, or isn't and does not say so: everything happens once.

Faults 4 and 22 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.ports.state import State
from core.turns.events import Finished
from core.turns.rows import EndReason, TurnState
from fakes.language_model import ScriptedModel, words
from fakes.state import CommitFault
from fakes.turn_cluster import turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model
from fakes.turn_readers import Read

TALE = words("one two three four five", pause=0.3)
STEPS = {
    "claim": "idempotency",
    "append": "events",
    "begin": "attempts",
    "settle": "executions",
}
"""The table by whose writing a step is told."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", [CommitFault.REPLY_LOST, CommitFault.LOST])
@pytest.mark.parametrize("count", [1, 3])
async def test_fault_04_the_reply_is_lost(
    state: State, step: str, fault: CommitFault, count: int
) -> None:
    """No orphan, no doubled delta, no second call, one settlement."""
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        cluster.store_of(one).faults.fail_commits(fault, count, touching=STEPS[step])
        read = await one.ask("count", request_id="r1")
        await _is_whole(two, read, model)


@pytest.mark.parametrize("fault", [CommitFault.REPLY_LOST, CommitFault.LOST])
async def test_fault_04_every_reply_of_a_turn_is_lost_once(
    state: State, fault: CommitFault
) -> None:
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        for table in STEPS.values():
            cluster.store_of(one).faults.fail_commits(fault, 1, touching=table)
        await _is_whole(two, await one.ask("count", request_id="r1"), model)


async def test_fault_22_one_stale_turn_in_a_group_of_32(state: State) -> None:
    """The other 31 go on."""
    model = a_model(words("a b c", pause=0.5))
    async with turn_cluster(state, [model]) as cluster:
        one, _two = await cluster.start_two()
        reads = [asyncio.create_task(one.ask("Hi", request_id=f"r{n}")) for n in range(32)]
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


async def _is_whole(node: TurnNode, read: Read, model: ScriptedModel) -> None:
    """One turn, one call of the provider, one charge, one end, every event once."""
    assert read.error is None
    assert read.text == "one two three four five"
    assert read.numbers == list(range(1, len(read.numbers) + 1))
    assert [type(event) for event in read.events].count(Finished) == 1
    assert isinstance(read.events[-1], Finished)
    assert (await node.resume(read.turn)).encoded == read.encoded
    row = await node.row(read.turn)
    assert (row.state, row.run, row.epoch) == (TurnState.FINISHED, 1, 1)
    assert len(model.calls) == 1
    lines = await node.ledger(read.turn)
    assert [line.estimated for line in lines if line.usage.completion] == [False]
    assert all(attempt.booked for attempt in await node.attempts(read.turn))
    async with node.state.snapshot(ACME) as view:
        assert len(await view.turns.list(frozenset(TurnState), 10, None)) == 1
