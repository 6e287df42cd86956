"""Many callers who come, leave, cancel and repeat, on a store that fails at random: what holds.

Everything is drawn from the seed, on virtual time: a failure comes again with its number.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.errors import ColonnadeError
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.identifiers import RequestId, Seconds, TurnId
from core.ports.state import Scope
from core.turns.events import Finished, Started
from core.turns.rows import TurnState
from fakes.language_model import Fail, Hang, Script, ScriptedModel, Step, Wait, script
from fakes.state import CommitFault, FakeState, FakeTransaction
from fakes.turn_node import TurnNode, a_request, loop_now, turn_node
from fakes.turn_readers import Read, Reader

IDS = [f"r{n}" for n in range(6)]


class RestlessStore(FakeState):
    """A store that is slow by chance, and now and then fails to commit, in each of the ways."""

    def __init__(self, draw: random.Random, fault_rate: float) -> None:
        super().__init__(loop_now)
        self._draw = draw
        self.fault_rate = fault_rate
        self.faults.before_commit = self._before  # type: ignore[method-assign]

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[FakeTransaction]:
        await self._dawdle()
        async with super().transaction(scope) as tx:
            yield tx
        await self._dawdle()

    async def _before(self, touched: Collection[str]) -> CommitFault | None:
        await self._dawdle()
        if self._draw.random() < self.fault_rate:
            return self._draw.choice(list(CommitFault))
        return None

    async def _dawdle(self) -> None:
        kind = self._draw.random()
        if kind < 0.7:
            for _ in range(self._draw.randrange(4)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(self._draw.random() * (0.5 if kind > 0.97 else 0.02))


def a_restless_model(draw: random.Random) -> ScriptedModel:
    def choose(_: GenerationRequest) -> Script:
        steps: list[Step | str] = []
        for n in range(draw.randrange(12)):
            if draw.random() < 0.6:
                steps.append(Wait(draw.random() * 0.3))
            steps.append(f"w{n} ")
        last = draw.random()
        if last < 0.25:
            steps.insert(
                draw.randrange(len(steps) + 1),
                Fail(ModelError(ModelErrorKind.OVERLOADED, "busy")),
            )
        elif last < 0.35:
            steps.append(Hang(stubborn=draw.choice([0.0, 0.1, 1.0])))
        return script(*steps)

    return ScriptedModel(choose=choose)


@dataclass
class Crowd:
    """Callers, and what each of them was given."""

    node: TurnNode
    draw: random.Random
    reads: list[Read] = field(default_factory=list)

    async def caller(self) -> None:
        """One who does a few things in a row."""
        for _ in range(self.draw.randrange(1, 5)):
            await asyncio.sleep(self.draw.random() * 2)
            await self.draw.choice([self._asks, self._asks, self._cancels, self._resumes])()

    async def _asks(self) -> None:
        linger = self.draw.choice([0.0, 0.05, 0.25, 1.0])
        name = self.draw.choice(IDS)
        request = a_request(
            f"about {name}",
            request_id=name,
            linger=Seconds(linger),
            detach=self.draw.random() < 0.2,
            turn_timeout=Seconds(8),
        )
        call = self.node.call(deadline=self.draw.choice([0.2, 1.0, 5.0]))
        await self._reads(Reader(self.node.stream(request, call), call))

    async def _resumes(self) -> None:
        turn = await self._known()
        if turn is None:
            return
        row = await self.node.row(turn)
        after = self.draw.randrange(row.next_seq)
        resumed = self.node.chat.resume(self.node.call(), turn, after, accepts_retractions=False)
        await self._reads(Reader(resumed))

    async def _cancels(self) -> None:
        name = RequestId(self.draw.choice(IDS))
        try:
            await self.node.chat.cancel(self.node.call(), TurnId(""), name)
        except ColonnadeError:
            return

    async def _reads(self, reader: Reader) -> None:
        """Read to the end, or break off at some moment."""
        self.reads.append(reader.read)
        if self.draw.random() < 0.5:
            await asyncio.wait({reader.task})
            return
        await asyncio.wait({reader.task}, timeout=self.draw.random() * 1.5)
        reader.leave()

    async def _known(self) -> TurnId | None:
        name = RequestId(self.draw.choice(IDS))
        try:
            view = await self.node.chat.turn(self.node.call(), TurnId(""), name, with_events=False)
        except ColonnadeError:
            return None
        return view.turn.id


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_the_story_holds(seed: int) -> None:
    draw = random.Random(seed)
    store = RestlessStore(draw, fault_rate=draw.choice([0.0, 0.05, 0.2]))
    model = a_restless_model(draw)
    async with turn_node(store, [model]) as node:
        crowd = Crowd(node, draw)
        await asyncio.gather(*(crowd.caller() for _ in range(20)))
        store.fault_rate = 0.0
        await asyncio.sleep(30)
        for turn in list(store.tables.turns):
            await node.get(turn)  # who looks settles what nobody runs
        await _holds(store, node, model, crowd.reads)


async def _holds(store: FakeState, node: TurnNode, model: ScriptedModel, reads: list[Read]) -> None:
    tables = store.tables
    assert len(tables.idempotency) == len(tables.turns) <= len(IDS)
    assert model.running == 0
    logs: dict[TurnId, bytes] = {}
    for turn, row in tables.turns.items():
        events = (await node.resume(turn)).events
        log = await node.log(turn)
        logs[turn] = b"".join(event.body for event in log)
        assert row.state.ended
        assert [event.seq for event in log] == list(range(1, row.next_seq))
        ends = [i for i, event in enumerate(events) if isinstance(event, Finished)]
        finished = row.state is TurnState.FINISHED
        assert ends == ([len(events) - 1] if finished else [])
        runs = [event.run for event in events if isinstance(event, Started)]
        assert runs == sorted(set(runs))
    _reads_hold(logs, reads)
    called = [
        attempt
        for attempt in tables.attempts.values()
        if attempt.used is None or attempt.used.prompt
    ]
    assert all(attempt.booked for attempt in tables.attempts.values())
    assert set(tables.ledger) == set(tables.attempts)
    assert len(called) == len(model.calls)


def _reads_hold(logs: dict[TurnId, bytes], reads: list[Read]) -> None:
    """Whatever a reader was given is a piece of the one log, without gap or repeat."""
    for read in reads:
        if not read.batches:
            continue
        assert read.numbers == list(range(read.numbers[0], read.numbers[-1] + 1))
        assert any(read.encoded in log for log in logs.values())
