"""Several replicas on one store and one bus, in one process, each of which may die or be paused.

async with turn_cluster(state, [model]) as cluster:
    one, two = await cluster.start(), await cluster.start()
    cluster.kill(one)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from core.identifiers import Seconds
from core.ports.state import State
from fakes.bus import FakeBus, FakeExchange
from fakes.faulty_state import FaultyState
from fakes.language_model import ScriptedModel
from fakes.turn_node import TurnNode, open_node

LEASE = 5.0
IN_TOUCH = 6.1
"""Seconds after which a replica that has just started may judge the leases of others."""


@dataclass
class Skew:
    """How far a replica's own clocks are off the others', in seconds."""

    seconds: float = 0.0


@dataclass
class Member:
    """One replica, and how it is connected."""

    node: TurnNode
    state: FaultyState
    bus: FakeBus
    skew: Skew
    alive: bool = True


@dataclass
class Cluster:
    """The replicas; `exchange` is what they hear each other by."""

    state: State
    models: Sequence[ScriptedModel]
    exchange: FakeExchange = field(default_factory=FakeExchange)
    members: list[Member] = field(default_factory=list)

    async def start(self, models: Sequence[ScriptedModel] = (), **options: Any) -> TurnNode:
        """One more replica, which is not alone; `options` are those of NodeOptions."""
        state, bus, skew = FaultyState(self.state), self.exchange.replica(), Skew()
        options = {"boot": f"boot-{len(self.members) + 1}", "alone": False, **options}
        loop = asyncio.get_running_loop()

        def boottime() -> Seconds:
            return Seconds(loop.time() + skew.seconds)

        node = await open_node(state, models or self.models, bus=bus, boottime=boottime, **options)
        self.members.append(Member(node, state, bus, skew))
        return node

    async def start_two(self) -> tuple[TurnNode, TurnNode]:
        """Two replicas that have been in touch with the store for a lease."""
        pair = await self.start(), await self.start()
        await asyncio.sleep(IN_TOUCH)
        return pair

    def store_of(self, node: TurnNode) -> FaultyState:
        """The store as this replica reaches it."""
        return self._member(node).state

    def kill(self, node: TurnNode) -> None:
        """kill -9."""
        member = self._member(node)
        member.alive = False
        member.state.dead = True
        member.bus.go_away()

    def pause(self, node: TurnNode) -> None:
        """The process stops; for what it has asked the store no answer arrives meanwhile."""
        member = self._member(node)
        member.state.stop()
        member.bus.go_away()

    def go_on(self, node: TurnNode) -> None:
        """The process goes on."""
        member = self._member(node)
        member.state.go_on()
        member.bus.come_back()

    def _member(self, node: TurnNode) -> Member:
        return next(member for member in self.members if member.node is node)


@asynccontextmanager
async def turn_cluster(
    state: State, models: Sequence[ScriptedModel] = ()
) -> AsyncIterator[Cluster]:
    """Replicas that end with the block, those that were not killed in good order."""
    cluster = Cluster(state, models)
    yield cluster
    for member in cluster.members:
        if member.alive:
            await member.node.close()
            assert not member.node.telemetry.bugs
