"""Callers who come, leave, cancel and repeat at random, on a store that fails at random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.errors import ColonnadeError
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.identifiers import ConversationId, RequestId, Seconds, TurnId
from core.ports.state import Scope
from fakes.language_model import Fail, Hang, Script, ScriptedModel, Step, Wait, script
from fakes.state import CommitFault, FakeState, FakeTransaction
from fakes.turn_node import TurnNode, a_request, loop_now
from fakes.turn_readers import Read, Reader
from services.turns.claims import ROOT

IDS = [f"r{n}" for n in range(6)]


class RestlessStore(FakeState):
    """A store that is slow by chance, and now and then fails to commit, in each of the ways."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(loop_now)
        self._draw = draw
        self.fault_rate = 0.0
        self.was_away = False
        self.faults.before_commit = self._before  # type: ignore[method-assign]

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[FakeTransaction]:
        await self._dawdle()
        async with super().transaction(scope) as tx:
            yield tx
        await self._dawdle()

    async def outages(self) -> None:
        """Be away now and then."""
        for _ in range(self._draw.randrange(4)):
            await asyncio.sleep(self._draw.random() * 3)
            self.faults.away = self.was_away = True
            await asyncio.sleep(self._draw.random() * self._draw.choice([0.1, 1.0, 3.0]))
            self.faults.away = False

    async def _before(self, touched: Collection[str]) -> CommitFault | None:
        await self._dawdle()
        self.faults.require_present()
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
    """Callers, and what each of them was given. Half of the requests are on one branch."""

    node: TurnNode
    draw: random.Random
    talk: ConversationId
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
            conversation=self.talk if name in IDS[3:] else None,
            parent_message=ROOT if name in IDS[3:] else None,
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
