"""The cache of answers: whose it is, what it saves, and one call for many equal requests."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest

from core.generation import (
    Constraints,
    GenerationOptions,
    ModelError,
    ModelErrorKind,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import Seconds, TenantId
from core.ports.model_gateway import CachePolicy
from fakes.gateway_node import GatewayNode, gateway_node
from fakes.language_model import Fail, Finish, Hang, ScriptedModel, Wait, script
from fakes.turn_node import a_model
from services.models.caching import CachingGateway
from services.models.response_cache import ResponseCache

BOTH = CachePolicy(read=True, write=True)
READ = CachePolicy(read=True)


def caching(*models: ScriptedModel, most: int = 100_000, lasts: float = 60.0) -> GatewayNode:
    node = gateway_node(*models)
    node.gateway = CachingGateway(node.gateway, ResponseCache(most, Seconds(lasts)), node.clock)
    return node


async def test_an_equal_request_is_answered_without_a_call_and_what_was_saved_is_told() -> None:
    model = a_model(script("a", "b"))
    node = caching(model)
    first = await node.hear(cache=BOTH)
    again = await node.hear(cache=BOTH)
    assert (first.text, again.text) == ("ab", "ab")
    assert [event.text for event in again.of(TextDelta)] == ["a", "b"]  # as it was streamed
    assert len(model.calls) == 1
    end = again.completed
    assert (end.cached, end.usage, end.cost) == (True, TokenUsage(0, 0), Decimal(0))
    assert end.spent is not None
    assert end.spent.saved == first.completed.cost == Decimal("0.000007")
    assert await node.ledger("gen-2") == []


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Ho"},
        {"options": GenerationOptions(temperature=0.5)},
        {"model": "strong"},
        {"constraints": Constraints(residency="")},
        {"tenant": TenantId("rival")},
        {"language": "de"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_what_differs_is_not_given(other: dict[str, Any]) -> None:
    """Elsewhere: one user's answer served to another (semantic-router 2134)."""
    model = a_model(script("a"))
    node = caching(model)
    await node.hear(cache=BOTH)
    await node.hear(node.order(**other, cache=BOTH))
    same = other == {"constraints": Constraints(residency="")}
    assert len(model.calls) == (1 if same else 2)


async def test_who_does_not_ask_for_it_has_nothing_to_do_with_it() -> None:
    model = a_model(script("a"))
    node = caching(model)
    await node.hear(cache=CachePolicy(write=True))
    await node.hear()
    assert len(model.calls) == 2
    await node.hear(cache=READ)
    assert len(model.calls) == 2


async def test_an_answer_grows_old() -> None:
    model = a_model(script("a"))
    node = caching(model, lasts=60)
    await node.hear(cache=BOTH)
    await asyncio.sleep(30)
    fresh = CachePolicy(read=True, longest=Seconds(10))
    await node.hear(cache=fresh)
    assert len(model.calls) == 2
    await node.hear(cache=READ)
    assert len(model.calls) == 2
    await asyncio.sleep(31)
    await node.hear(cache=READ)
    assert len(model.calls) == 3


async def test_memory_is_bounded_and_the_least_used_goes() -> None:
    """Elsewhere: memory that grows for days (litellm 12685)."""
    model = a_model(script("x" * 1000))
    node = caching(model, most=4_000)
    for text in ("a", "b", "a", "c", "a", "d", "a"):
        await node.hear(node.order(text, cache=BOTH))
    assert len(model.calls) == 4  # a stays, since it is used
    await node.hear(node.order("b", cache=BOTH))
    assert len(model.calls) == 5
    assert isinstance(node.gateway, CachingGateway)
    assert node.gateway._cache._bytes <= 4_000


async def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    model = a_model(script("x" * 5000))
    node = caching(model, most=1_000)
    await node.hear(cache=BOTH)
    await node.hear(cache=BOTH)
    assert len(model.calls) == 2


@pytest.mark.parametrize(
    "bad",
    [
        script("a", Finish(StopCause.CONTENT_FILTER)),
        script("a", Fail(ModelError(ModelErrorKind.CONNECTION, "cut"))),
    ],
)
async def test_only_a_whole_answer_is_kept(bad: Any) -> None:
    model = a_model(bad, script("b"))
    node = caching(model)
    await node.hear(cache=BOTH)
    assert (await node.hear(cache=BOTH)).text == "b"


class TestOneCallForMany:
    async def test_equal_requests_that_overlap_cause_one_call(self) -> None:
        model = a_model(script(Wait(1), "a", Wait(1), "b"))
        node = caching(model)
        first = asyncio.create_task(node.hear(cache=READ))
        await asyncio.sleep(1.5)
        late = [asyncio.create_task(node.hear(cache=READ)) for _ in range(5)]
        heard = [await first, *[await task for task in late]]
        assert [h.text for h in heard] == ["ab"] * 6
        assert [h.completed.cached for h in heard] == [False, *[True] * 5]
        assert len(model.calls) == 1
        await node.hear(cache=READ)
        assert len(model.calls) == 2  # it was not to be kept

    async def test_who_asked_first_may_leave(self) -> None:
        model = a_model(script(Wait(1), "a", Wait(1), "b"))
        node = caching(model)
        first = asyncio.create_task(node.hear(cache=READ))
        await asyncio.sleep(0.5)
        other = asyncio.create_task(node.hear(cache=READ))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.wait({first})
        assert (await other).text == "ab"
        assert len(model.calls) == 1

    async def test_when_all_have_left_the_model_stops_and_is_booked(self) -> None:
        model = a_model(script("abc", Hang()))
        node = caching(model)
        tasks = [asyncio.create_task(node.hear(cache=READ)) for _ in range(3)]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert model.running == 0
        assert len(await node.ledger("gen-1")) == 1
        assert isinstance(node.gateway, CachingGateway)
        assert node.gateway._running == {}

    async def test_anothers_deadline_is_not_mine(self) -> None:
        model = a_model(script(Wait(3), "a"))
        node = caching(model)
        hurried = asyncio.create_task(node.hear(cache=READ, within=1.0))
        await asyncio.sleep(0.5)
        patient = await node.hear(cache=READ, within=30.0)
        assert (await hurried).error is not None
        assert (patient.text, len(model.calls)) == ("a", 2)

    async def test_leaving_early_in_mid_stream_leaves_nothing(self) -> None:
        node = caching(a_model(script("a", Hang())))
        async with aclosing(node.stream(node.order(cache=READ))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        assert isinstance(node.gateway, CachingGateway)
        assert node.gateway._running == {}
