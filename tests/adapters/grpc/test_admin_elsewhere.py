"""Operators' calls on a replica that does not run the turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector import providers

from colonnade.v1 import admin_pb2, chat_pb2, turns_pb2
from colonnaded.container import Container
from fakes.bus import FakeBus, FakeExchange
from fakes.language_model import Hang, script
from fakes.served_node import ServedNode, ask, served_node
from fakes.state import FakeState


@asynccontextmanager
async def two_replicas(exchange: FakeExchange) -> AsyncIterator[tuple[ServedNode, ServedNode]]:
    """Two servers with one state and one bus."""
    state = FakeState()

    async def opened(bus: FakeBus) -> AsyncIterator[FakeBus]:
        yield bus

    def connect(container: Container) -> None:
        container.bus.override(providers.Resource(opened, exchange.replica()))

    async with (
        served_node(script("Half", Hang()), state=state, override=connect) as one,
        served_node(script("Half", Hang()), state=state, override=connect) as other,
    ):
        yield one, other


async def begun(node: ServedNode) -> tuple[str, asyncio.Task[turns_pb2.TurnEvent]]:
    """A turn that runs on this node, and a reader of it that waits for its last event."""
    stream = node.stubs.chat.StreamChat(ask(), metadata=node.key())
    first = await stream.read()
    assert isinstance(first, turns_pb2.TurnEvents)

    async def last() -> turns_pb2.TurnEvent:
        event = first.events[-1]
        while isinstance(message := await stream.read(), turns_pb2.TurnEvents):
            event = message.events[-1]
        return event

    return first.events[0].started.turn_id, asyncio.create_task(last())


async def test_a_reader_elsewhere_is_shown_with_its_replica() -> None:
    async with two_replicas(FakeExchange()) as (one, other):
        turn, reading = await begun(one)
        resumed = other.stubs.chat.ResumeChat(
            chat_pb2.ResumeChatRequest(turn_id=turn), metadata=other.key()
        )
        await resumed.read()
        request = admin_pb2.GetTurnStatusRequest(turn_id=turn)
        shown = await other.stubs.admin.GetTurnStatus(request, metadata=other.key())
        (reader,) = shown.readers
        assert reader.replica != shown.owner
        assert reader.left.ToNanoseconds() > 0
        resumed.cancel()
        reading.cancel()


async def test_a_cancel_reaches_the_owner_also_when_every_notice_is_lost() -> None:
    exchange = FakeExchange()
    exchange.lose_everything()
    async with two_replicas(exchange) as (one, other):
        turn, reading = await begun(one)
        request = admin_pb2.CancelTurnRequest(turn_id=turn)
        asked = await other.stubs.admin.CancelTurn(request, metadata=other.key("bob"))
        assert asked.cancel == turns_pb2.FINISH_REASON_CANCELLED
        async with asyncio.timeout(10):
            end = await reading
        assert end.finished.reason == turns_pb2.FINISH_REASON_CANCELLED
