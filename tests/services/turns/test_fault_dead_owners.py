"""The owner dies: what its readers saw stands, and somebody else ends what it began.

Faults 1, 5, 6, 17 and 21 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Reason
from core.generation import ModelError, ModelErrorKind, TokenUsage
from core.identifiers import TurnId
from core.ports.state import State
from core.turns.rows import EndReason, Turn, TurnState
from fakes.language_model import Fail, Hang, Wait, script, words
from fakes.turn_cluster import LEASE, Cluster, turn_cluster
from fakes.turn_node import TurnNode, a_model, a_request
from fakes.turn_readers import Read, Reader
from services.turns.claims import ROOT
from services.turns.reading import Batches

TALE = words("one two three four five", pause=0.3)
DOWN = ModelError(ModelErrorKind.OVERLOADED, "down")
SWEEP = 1.2
"""The longest time between two sweeps."""


@pytest.mark.parametrize("nth", range(1, 6))
async def test_fault_01_killed_between_a_commit_and_its_sending(state: State, nth: int) -> None:
    """The nth append is in the log, and nobody was told of it."""
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start_two()
        _die_after_append(cluster, one, nth)
        reader = Reader(one.stream(a_request(request_id="r1")))
        while not cluster.store_of(one).dead:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        seen = reader.read
        (turn,) = await _turns(two)
        await _contradicts_nothing(two, turn.id, seen)
        assert len(await two.log(turn.id)) > len(seen.numbers)


@pytest.mark.parametrize("count", range(1, 7))
async def test_fault_01_killed_between_a_sending_and_the_next_commit(
    state: State, count: int
) -> None:
    async with turn_cluster(state, [a_model(TALE)]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        seen = await reader.until(count)
        cluster.kill(one)
        await _contradicts_nothing(two, seen.turn, seen)


async def test_fault_05_a_rerun_is_told_without_a_gap_from_every_number(state: State) -> None:
    """Attempt 1 fails after `started`; old readers and new ones, wherever they begin."""
    model = a_model(script(Wait(0.2), Fail(DOWN)), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        failed = await one.ask(a_request(request_id="r1"))
        assert failed.kinds == ["Started"]
        again = Reader(two.stream(a_request(request_id="r1")))
        await again.until(3)
        during = [Reader(_resumed(node, failed.turn, n)) for n in range(4) for node in (one, two)]
        read = await again.end()
        after = [Reader(_resumed(node, failed.turn, n)) for n in range(8) for node in (one, two)]
        assert read.kinds[:2] == ["Started", "Started"]
        assert read.numbers == list(range(1, len(read.numbers) + 1))
        for reader in (*during, *after):
            part = await reader.end()
            assert read.encoded.endswith(part.encoded)
            assert not part.numbers or part.numbers == list(
                range(part.numbers[0], read.numbers[-1] + 1)
            )
        assert read.encoded.startswith(failed.encoded)
        assert read.kinds.count("Finished") == 1
        assert read.kinds[-1] == "Finished"


async def test_fault_06_nothing_released_a_resume_settles_it_and_it_runs_again(
    state: State,
) -> None:
    model = a_model(script(Hang()), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        seen = await reader.until(1)
        cluster.kill(one)
        resumed = await two.resume(seen.turn)
        assert resumed.error is not None
        assert resumed.error.reason is Reason.TURN_INTERRUPTED
        assert resumed.error.metadata["rerunnable"] == "true"
        assert (await two.row(seen.turn)).state is TurnState.FAILED
        again = await two.ask(a_request(request_id="r1"))
        assert again.turn == seen.turn
        assert again.encoded.startswith(seen.encoded)
        assert again.text == "one two three four five"
        assert [kind for kind in again.kinds if kind == "Finished"] == again.kinds[-1:]


async def test_fault_17_killed_and_nobody_resumes(state: State) -> None:
    """Settled, booked, and its branch free, within a lease and two sweeps."""
    async with turn_cluster(state, [a_model(script("a", Hang()), script("b"))]) as cluster:
        one, two = await cluster.start_two()
        talk = await two.converse()
        request = a_request(conversation=talk, parent_message=ROOT, request_id="r1")
        reader = Reader(one.stream(request))
        turn = (await reader.until(2)).turn
        cluster.kill(one)
        await asyncio.sleep(LEASE + 2 * SWEEP)
        row = await two.row(turn)
        assert (row.state, row.reason) == (TurnState.FINISHED, EndReason.INTERRUPTED)
        (line,) = await two.ledger(turn)
        assert line.estimated
        assert all(attempt.booked for attempt in await two.attempts(turn))
        free = await two.ask(a_request("again", conversation=talk, parent_message=ROOT))
        assert (free.error, free.text) == (None, "b")


async def test_fault_21_killed_while_the_fallback_runs(state: State) -> None:
    """The provider that failed and the one that was running are both booked."""
    first = a_model(script(Wait(0.1), Fail(DOWN)), name="first", price="1")
    second = a_model(script("a", Hang()), name="second", price="2")
    async with turn_cluster(state, [first, second]) as cluster:
        one, two = await cluster.start_two()
        reader = Reader(one.stream(a_request(request_id="r1")))
        seen = await reader.until(3)
        cluster.kill(one)
        await asyncio.sleep(LEASE + 2 * SWEEP)
        lines = await two.ledger(seen.turn)
        assert [line.deployment for line in lines] == ["first", "second"]
        assert [line.usage for line in lines] == [TokenUsage(11, 0), TokenUsage(11, 1)]
        assert all(attempt.booked for attempt in await two.attempts(seen.turn))


async def _contradicts_nothing(node: TurnNode, turn: TurnId, seen: Read) -> None:
    """What a reader goes on with elsewhere, from its last number, fits what it has."""
    rest = await node.resume(turn, len(seen.numbers))
    whole = await node.resume(turn)
    assert seen.encoded + rest.encoded == whole.encoded
    assert whole.numbers == list(range(1, len(whole.numbers) + 1))
    row = await node.row(turn)
    assert row.reason is EndReason.INTERRUPTED
    assert (row.state is TurnState.FINISHED) == row.released == bool(whole.text)


def _die_after_append(cluster: Cluster, node: TurnNode, nth: int) -> None:
    """Kill the process right after its nth append was committed."""
    store, count = cluster.store_of(node), 0

    def committed(touched: frozenset[str]) -> None:
        nonlocal count
        count += "events" in touched
        if count == nth:
            cluster.kill(node)

    store.after_commit = committed


async def _turns(node: TurnNode) -> list[Turn]:
    async with node.state.snapshot(node.call().principal.tenant) as view:
        return list(await view.turns.list(frozenset(TurnState), 10, None))


def _resumed(node: TurnNode, turn: TurnId, after: int) -> Batches:
    return node.chat.resume(node.call(), turn, after, accepts_retractions=False)
