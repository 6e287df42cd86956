"""Every log begins by saying whose it is, also where its run never came to say a word."""

from __future__ import annotations

import asyncio

from core.identifiers import RequestId
from core.turns.rows import EndReason
from fakes.language_model import script
from fakes.state import FakeState
from fakes.turn_cluster import LEASE, turn_cluster
from fakes.turn_node import TurnNode, a_model, a_request, turn_node
from fakes.turn_readers import Reader


async def says_nothing(*_: object) -> EndReason:
    await asyncio.Event().wait()
    raise AssertionError("it waits for ever")


def reading(node: TurnNode) -> Reader:
    """A turn whose runner has begun, and has nothing to say yet."""
    return Reader(node.turns.stream(node.call(), a_request(request_id="r1"), says_nothing))


async def test_a_turn_that_is_cancelled_before_its_owner_said_anything(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(script("a"))]) as node:
        reader = reading(node)
        await asyncio.sleep(0.1)
        turn = await node.turns.find(node.call(), RequestId("r1"))
        assert not await node.log(turn)
        await node.cancel(turn)
        read = await reader.end()
        assert read.kinds == ["Started", "Finished"]
        assert read.turn == turn


async def test_a_turn_whose_owner_died_before_it_said_anything(fake: FakeState) -> None:
    async with turn_cluster(fake, [a_model(script("a"))]) as cluster:
        one, two = await cluster.start_two()
        reading(one)
        await asyncio.sleep(0.1)
        turn = await two.turns.find(two.call(), RequestId("r1"))
        cluster.kill(one)
        await two.cancel(turn)
        await asyncio.sleep(LEASE + 2.5)
        read = await two.resume(turn)
        assert read.kinds == ["Started", "Finished"]
        assert read.turn == turn
