"""A generation holds on to what it works with until its end, whatever that is, and no longer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from core.errors import ModelsUnavailable, NotFound
from core.generation import ModelError, ModelErrorKind, TextDelta
from core.ports.model_gateway import Completed, Selected
from fakes.gateway_node import GatewayNode, gateway_node
from fakes.language_model import Fail, Wait, script
from fakes.turn_node import a_model
from services.models.gateway import Gateway

DOWN = ModelError(ModelErrorKind.CONNECTION, "down")


def at_work(node: GatewayNode) -> int:
    """How many generations keep a reload from closing the models."""
    assert isinstance(node.gateway, Gateway)
    return node.gateway._deployments().users.count


async def test_nothing_happens_before_the_first_event_is_asked_for() -> None:
    node = gateway_node(a_model(script("a")))
    generation = node.stream(node.order())
    assert at_work(node) == 0
    await generation.aclose()
    with pytest.raises(StopAsyncIteration):
        await generation.__anext__()
    assert list(await node.attempts()) == []


async def test_it_is_over_with_its_last_event() -> None:
    node = gateway_node(a_model(script("a")))
    generation = node.stream(node.order())
    assert isinstance(await generation.__anext__(), Selected)
    assert at_work(node) == 1
    assert await generation.__anext__() == TextDelta("a")
    assert isinstance(await generation.__anext__(), Completed)
    assert at_work(node) == 0
    with pytest.raises(StopAsyncIteration):
        await generation.__anext__()
    await generation.aclose()
    assert at_work(node) == 0


async def test_it_is_over_with_its_error() -> None:
    node = gateway_node(a_model(script(Fail(DOWN))))
    generation = node.stream(node.order())
    assert isinstance(await generation.__anext__(), Selected)
    with pytest.raises(ModelsUnavailable):
        await generation.__anext__()
    assert at_work(node) == 0
    with pytest.raises(StopAsyncIteration):
        await generation.__anext__()


async def test_who_cannot_be_asked_is_not_worked_with() -> None:
    node = gateway_node(a_model(script("a")))
    with pytest.raises(NotFound):
        await node.stream(node.order(model="nobody")).__anext__()
    assert at_work(node) == 0


async def test_who_leaves_stops_it_on_record() -> None:
    node = gateway_node(a_model(script("a", Wait(9), "b")))
    async with aclosing(node.stream(node.order())) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert at_work(node) == 0
    assert [line.estimated for line in await node.ledger()] == [True]


async def test_who_is_cancelled_need_not_close_it() -> None:
    node = gateway_node(a_model(script(Wait(9), "a")))
    generation = node.stream(node.order())
    await generation.__anext__()
    hearing = asyncio.ensure_future(generation.__anext__())
    await asyncio.sleep(1)
    hearing.cancel()
    await asyncio.wait({hearing})
    assert at_work(node) == 0
    assert len(await node.ledger()) == 1
