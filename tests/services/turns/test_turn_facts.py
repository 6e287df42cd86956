"""What callers and operators are told: a turn's usage, cost and times; the protocol's health."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from adapters.grpc import turn_messages
from core.generation import ModelError, ModelErrorKind, TokenUsage
from core.identifiers import Seconds
from core.ports.state import State
from core.ports.turn_observer import TakeOver
from core.turns.rows import TurnState
from fakes.language_model import Fail, Finish, Hang, Wait, script, words
from fakes.turn_cluster import LEASE, turn_cluster
from fakes.turn_node import a_model, a_request, turn_node
from fakes.turn_readers import Reader
from services.turns.timings import TurnTimings

DOWN = ModelError(ModelErrorKind.OVERLOADED, "down")


@dataclass
class _Operator:
    """A TurnObserver that keeps what it is told."""

    commits: list[tuple[float, int, int]] = field(default_factory=list)
    taken: Counter[TakeOver] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    lagged: int = 0

    def committed(self, seconds: Seconds, runs: int, events: int) -> None:
        self.commits.append((seconds, runs, events))

    def took_over(self, why: TakeOver) -> None:
        self.taken[why] += 1

    def lease_age(self, seconds: Seconds) -> None:
        self.ages.append(seconds)

    def held_back(self, output: int) -> None:
        self.held.append(output)

    def reader_lagged(self) -> None:
        self.lagged += 1


async def test_a_turn_that_failed_says_what_it_cost(state: State) -> None:
    """It has no last event; its usage, cost, model and times stand in the store all the same."""
    model = a_model(script("a", "b", Wait(0.5), Fail(DOWN)), price="1000000")
    async with turn_node(state, [model]) as node:
        failed = await node.ask("Hi")
        view = await node.get(failed.turn)
        assert view.turn.state is TurnState.FAILED
        (line,) = await node.ledger(failed.turn)
        assert (view.total.usage, view.total.cost) == (line.usage, line.cost)
        message = turn_messages.turn(view)
        assert message.usage.prompt_tokens == 11
        assert message.usage.estimated
        assert message.cost.amount == str(line.cost)
        assert message.model == "strong"
        assert message.latencies.total.ToTimedelta().total_seconds() == pytest.approx(0.5, abs=0.1)


async def test_a_turn_that_runs_has_no_cost_yet(state: State) -> None:
    async with turn_node(state, [a_model(script("a", Wait(1), "b"))]) as node:
        reader = Reader(node.stream(a_request()))
        turn = (await reader.until(2)).turn
        message = turn_messages.turn(await node.get(turn))
        assert not message.HasField("usage")
        assert not message.HasField("cost")
        await reader.end()
        message = turn_messages.turn(await node.get(turn))
        assert message.usage.output_tokens == 2


async def test_an_end_without_usage_is_told_by_the_ledger(state: State) -> None:
    usage = TokenUsage(7, 3)
    async with turn_node(state, [a_model(script("a", Finish(usage=usage)), price="1")]) as node:
        read = await node.ask("Hi")
        view = await node.get(read.turn)
        assert view.total.usage.prompt == 7
        assert view.total.cost == Decimal("0.00001")


@pytest.mark.parametrize("pause", [0.0, 0.4])
async def test_the_record_says_when_the_first_event_was_there(state: State, pause: float) -> None:
    async with turn_node(state, [a_model(script(Wait(pause), "a"))]) as node:
        read = await node.ask("Hi")
        record = await node.execution(read.turn)
        assert record is not None
        assert record.first_event_ms is not None
        assert 0 <= record.first_event_ms < 50
        assert record.latency_ms == pytest.approx(1000 * pause, abs=50)


async def test_commits_and_the_age_of_leases_are_told(state: State) -> None:
    operator = _Operator()
    async with turn_node(state, [a_model(script("a", Wait(5), "b"))], observer=operator) as node:
        reads = [asyncio.create_task(node.ask("Hi")) for _ in range(8)]
        await asyncio.gather(*reads)
    assert sum(events for _, _, events in operator.commits) == 8 * 5
    assert max(runs for _, runs, _ in operator.commits) == 8
    assert max(operator.ages) < 0.6
    assert operator.held == []


async def test_take_overs_are_told_with_their_cause(state: State) -> None:
    async with turn_cluster(state, [a_model(script(Hang()))]) as cluster:
        operator = _Operator()
        one = await cluster.start()
        await cluster.start(observer=operator)
        await asyncio.sleep(6.1)
        readers = [Reader(one.stream(a_request())) for _ in range(3)]
        await asyncio.gather(*(reader.until(1) for reader in readers))
        cluster.kill(one)
        await asyncio.sleep(LEASE + 2.5)
        assert operator.taken == {TakeOver.LEASE: 3}
        four = await cluster.start()
        await Reader(four.stream(a_request())).until(1)
        cluster.kill(four)
        again = _Operator()
        await cluster.start(observer=again, alone=True)
        assert again.taken == {TakeOver.START: 1}


async def test_output_that_is_held_back_is_told(state: State) -> None:
    operator = _Operator()
    async with turn_cluster(state, [a_model(words("word " * 100, pause=0.1))]) as cluster:
        one = await cluster.start(observer=operator)
        reader = Reader(one.stream(a_request(), one.call(deadline=100)))
        await reader.until(3)
        cluster.store_of(one).faults.away = True
        await asyncio.sleep(4)
        assert 100 < max(operator.held) < 64 * 1024
        cluster.store_of(one).faults.away = False
        await reader.end()
        assert operator.held[-1] == 0


async def test_readers_that_lag_are_told(state: State) -> None:
    operator = _Operator()
    small = TurnTimings(tail_events=2, tail_bytes=200, message_bytes=100, read_events=2)
    model = a_model(words("word " * 50, pause=0.05))
    async with turn_node(state, [model], observer=operator, timings=small) as node:
        reader = Reader(node.stream(a_request()))
        turn = (await reader.until(1)).turn
        async for _ in node.chat.resume(node.call(), turn, 0, accepts_retractions=False):
            await asyncio.sleep(0.3)
            if reader.task.done():
                break
        await reader.end()
    assert operator.lagged > 0
