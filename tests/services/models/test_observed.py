"""What operators are told of the gateway's calls: each attempt once, as it was booked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal

import pytest

from core.generation import ModelError, ModelErrorKind, TextDelta, TokenUsage
from core.identifiers import DeploymentName, Seconds
from core.ports.gateway_observer import AttemptEnded
from core.ports.model_gateway import CachePolicy
from core.prices import Prices, saved_by_cache
from core.resilience.load import HedgePolicy
from core.resilience.policy import PLAIN, ResiliencePolicy
from fakes.gateway_node import GatewayNode, gateway_node
from fakes.language_model import Fail, Hang, ScriptedModel, Wait, script
from fakes.turn_node import a_model
from services.models.caching import CachingGateway
from services.models.hearing import Listener
from services.models.response_cache import ResponseCache

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")


class Told:
    """A GatewayObserver that keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[AttemptEnded] = []
        self.spared: list[tuple[Decimal | None, str]] = []

    def attempt_ended(self, ended: AttemptEnded) -> None:
        self.ended.append(ended)

    def answered_without_call(self, saved: Decimal | None, currency: str) -> None:
        self.spared.append((saved, currency))

    def key_rested(self, deployment: DeploymentName, why: str) -> None:
        raise AssertionError("no model here has keys")

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(ended.deployment.name, ended.outcome) for ended in self.ended]


def observed(
    *models: ScriptedModel, resilience: ResiliencePolicy = PLAIN
) -> tuple[GatewayNode, Told]:
    node, told = gateway_node(*models, resilience=resilience), Told()
    listener: Listener = node.gateway._crew.listener  # type: ignore[attr-defined]  # it is a Gateway
    listener._observer = told
    return node, told


async def test_each_attempt_is_told_as_it_was_booked() -> None:
    node, told = observed(
        a_model(script(Fail(DOWN)), name="first", price="1"),
        a_model(script(Wait(2), "a", Wait(1), "b"), name="second", price="2"),
    )
    heard = await node.hear()
    assert told.outcomes == [("first", "overloaded"), ("second", "ok")]
    end = told.ended[1]
    assert end.first == pytest.approx(2, abs=0.1)
    assert end.seconds == pytest.approx(3, abs=0.1)
    assert (end.usage, end.cost) == (heard.completed.usage, heard.completed.cost)
    assert [line.estimated for line in await node.ledger()] == [e.estimated for e in told.ended]


async def test_one_that_nobody_wanted_any_more_has_stopped() -> None:
    policy = replace(PLAIN, hedge=HedgePolicy(enabled=True, after=Seconds(0.5)))
    slow = a_model(script(Hang()), name="first", price="1")
    node, told = observed(slow, a_model(script("b"), name="second", price="2"), resilience=policy)
    await node.hear()
    assert sorted(told.outcomes) == [("first", "stopped"), ("second", "ok")]
    async with aclosing(node.stream(node.order(model="second"))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert told.outcomes[-1] == ("second", "stopped")


async def test_one_that_was_never_called_is_none() -> None:
    model = a_model(script(Wait(1), "a"))
    node, told = observed(model)
    task = asyncio.create_task(node.hear(within=0.0))
    await asyncio.wait({task})
    assert (told.ended, model.calls) == ([], [])


async def test_what_the_cache_spares_is_told() -> None:
    node, told = gateway_node(a_model(script("a", "b"))), Told()
    cache = ResponseCache(10_000, Seconds(60))
    node.gateway = CachingGateway(node.gateway, cache, node.clock, told)
    both = CachePolicy(read=True, write=True)
    first = await node.hear(cache=both)
    await node.hear(cache=both)
    assert told.spared == [(first.completed.cost, "USD")]
    assert first.completed.cost


@pytest.mark.parametrize(
    ("usage", "prices", "saved"),
    [
        (TokenUsage(100, 1, 40), Prices(Decimal(2), Decimal(1), Decimal("0.5")), "0.00006"),
        (TokenUsage(100, 1, 40), Prices(Decimal(2), Decimal(1)), "0"),
        (TokenUsage(100, 1, 0), Prices(Decimal(2), Decimal(1), Decimal("0.5")), "0"),
        (TokenUsage(100, 1, None), Prices(Decimal(2), Decimal(1), Decimal("0.5")), None),
        (TokenUsage(100, 1, 40), Prices(), None),
    ],
)
def test_what_a_providers_own_cache_spares(
    usage: TokenUsage, prices: Prices, saved: str | None
) -> None:
    assert saved_by_cache(usage, prices) == (None if saved is None else Decimal(saved))
