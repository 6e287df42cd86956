"""The gateway over real HTTP: four providers, each of another format, of which one is well."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from decimal import Decimal

from core.catalog import Deployment, Route, Strategy
from core.generation import TextDelta
from core.identifiers import DeploymentName, Seconds
from core.prices import Prices
from core.resilience.load import HedgePolicy
from core.resilience.policy import ResiliencePolicy
from core.resilience.retries import RetryPolicy
from fakes.gateway_node import GatewayNode, Heard, gateway_node
from fakes.provider_models import ABLE, provider_model
from fakes.provider_server import Asked, Fault, Outcome, Plan, ProviderServer, Record, Refusal

REQUESTS, CLIENTS, WARM = 300, 20, 100
WORDS = [f"{number:02d} " for number in range(16)]
"""A token each, and three bytes: so an estimate by bytes is exact."""
WHOLE = "".join(WORDS).split()


def planned(chance: random.Random) -> dict[str, object]:
    def words(asked: Asked) -> list[str]:
        """What is still to be said after the words that stand in the prompt already."""
        said = len(re.findall(r"\b\d\d\b", asked.prompt))
        return WORDS[said:] or [" "]

    def cutting(asked: Asked) -> Plan:
        left = words(asked)
        cut = chance.random() < 0.2 and len(left) > 1
        fault, after = (Fault.CUT, chance.randrange(1, len(left))) if cut else (None, 0)
        return Plan.of(*left, pause=0.002, fault=fault, after=after)

    return {
        "responses": lambda _: Plan(refusal=Refusal(503)),
        "chat": cutting,
        "messages": lambda asked: Plan.of(*words(asked), first=1.0, pause=0.002),
        "gemini": lambda asked: Plan.of(*words(asked), pause=0.002),
    }


def entry(name: str) -> Deployment:
    prices = Prices(Decimal(1), Decimal(1))
    return replace(ABLE, name=DeploymentName(name), prices=prices, takes_prefix=True)


@asynccontextmanager
async def node_of(strategy: Strategy) -> AsyncIterator[tuple[GatewayNode, ProviderServer]]:
    chance = random.Random(11)
    plans = planned(chance)
    async with ProviderServer(lambda asked: plans[asked.format](asked)) as server:  # type: ignore[operator]
        models = [provider_model(name, server.url(name), entry(name)) for name in plans]
        policy = replace(
            ResiliencePolicy(),
            retry=RetryPolicy(base=Seconds(0.05)),
            hedge=HedgePolicy(enabled=True, after=Seconds(0.4)),
        )
        way = Route("way", tuple(map(DeploymentName, plans)), strategy)
        yield (
            gateway_node(*models, resilience=policy, routes=[way], draw=chance.random),  # type: ignore[arg-type]
            server,
        )
        for model in models:
            await model.close()


async def crowd(node: GatewayNode) -> list[Heard]:
    left, heard = itertools.repeat(None, REQUESTS), list[Heard]()

    async def client() -> None:
        for _ in left:
            heard.append(await node.hear(model="way", within=30.0))

    await asyncio.gather(*[client() for _ in range(CLIENTS)])
    return heard


async def test_a_bad_hour_of_three_providers_is_seen_by_nobody_and_every_token_is_booked() -> None:
    async with node_of(Strategy.LEAST_OUTSTANDING) as (node, server):
        heard = await crowd(node)
        assert [h.error for h in heard if h.error] == []
        assert all(h.text.split() == WHOLE for h in heard)
        units = [f"gen-{number}" for number in range(1, REQUESTS + 1)]
        attempts = [len(await node.attempts(unit)) for unit in units[WARM:]]
        assert sum(attempts) / len(attempts) < 1.2
        await still(server)
        lines = [line for unit in units for line in await node.ledger(unit)]
        assert len(lines) == sum([len(await node.attempts(unit)) for unit in units])
        whole = [record for record in server.records if record.outcome is Outcome.WHOLE]
        exact = [line for line in lines if not line.estimated]
        assert len(exact) == len([record for record in whole if record.counted])
        assert sum(line.usage.completion or 0 for line in exact) == generated(whole)
        broken = [record for record in server.records if record.outcome is not Outcome.WHOLE]
        booked = sum(line.usage.completion or 0 for line in lines if line.estimated)
        assert booked <= generated(broken)
        assert booked > 0


def generated(records: list[Record]) -> int:
    return sum(record.tokens for record in records)


async def still(server: ProviderServer) -> None:
    """Until the server has seen everybody leave."""
    for _ in range(500):
        if not server.running:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("somebody is still answered")


async def test_a_client_that_cancels_closes_the_connection_upstream() -> None:
    async with node_of(Strategy.PRIORITY) as (node, server):
        server.choose = lambda _: Plan.of(*WORDS, pause=0.05)
        events = node.stream(node.order(model="gemini"))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta):
                    break
            left = asyncio.get_running_loop().time()
        await still(server)
        (record,) = server.records
        assert record.outcome is Outcome.LEFT
        assert record.ended is not None
        assert record.ended - left < 0.25
        (line,) = await node.ledger()
        assert line.estimated
        assert 1 <= (line.usage.completion or 0) <= record.tokens
