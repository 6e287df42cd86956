"""What a request leaves behind in memory: nothing that grows with the requests."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from decimal import Decimal

from core.budgets.rules import BudgetRule, Period
from core.catalog import Limits
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds, TenantId
from core.ports.model_gateway import CachePolicy
from core.resilience.load import HedgePolicy
from core.resilience.policy import ResiliencePolicy
from core.resilience.retries import RetryPolicy
from fakes.gateway_node import gateway_node
from fakes.language_model import Fail, Wait, script
from fakes.turn_node import a_model
from services.models.caching import CachingGateway
from services.models.response_cache import ResponseCache

DOWN = ModelError(ModelErrorKind.MALFORMED_STREAM, "cut")
GROWN_BY = 40
"""Objects of one kind that may be left after 300 more requests, whatever they are for."""


def living() -> Counter[str]:
    """Objects of ours and of asyncio's, by type; what the fake store keeps is not the gateway's."""
    gc.collect()
    kept = ("fakes.state", "core.turns.rows", "core.generation", "datetime", "decimal")
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    ours = ("core.", "services.", "asyncio", "_asyncio")
    return Counter(name for name in names if name.startswith(ours) and not name.startswith(kept))


async def test_a_thousand_requests_later_nothing_has_grown() -> None:
    """Elsewhere: memory that grows for days (litellm 12685, 27954, 38193).

    Tenants, conversations and requests are all new ones; some streams break, some are hedged,
    some readers leave, some wait in line, some come from the cache.
    """
    policy = ResiliencePolicy(
        retry=RetryPolicy(base=Seconds(0.01)),
        hedge=HedgePolicy(enabled=True, after=Seconds(0.5)),
        affinity=Seconds(60.0),
    )
    breaking = a_model(
        script("a", Fail(DOWN)), script(Wait(1), "a b"), name="one", takes_prefix=True
    )
    steady = a_model(
        script(" b"),
        script(Wait(0.1), "b"),
        name="two",
        takes_prefix=True,
        limits=Limits(concurrent=2),
    )
    budgets = [BudgetRule("day", Decimal(1_000_000), Period.DAY)]
    node = gateway_node(breaking, steady, resilience=policy, budgets=budgets)
    node.gateway = CachingGateway(node.gateway, ResponseCache(20_000, Seconds(60)), node.clock)

    async def one(number: int) -> None:
        order = node.order(
            f"Hi {number % 50}",
            tenant=TenantId(f"tenant-{number % 400}"),
            key=f"conversation-{number}" if number < 100 else f"conversation-{number % 100}",
            cache=CachePolicy(read=number % 3 == 0, write=number % 3 == 0),
        )
        hearing = asyncio.create_task(node.hear(order))
        if number % 5 == 0:
            await asyncio.sleep(0.02)
            hearing.cancel()
        await asyncio.wait({hearing})
        hearing.cancelled() or hearing.exception()

    async def crowd(numbers: range) -> None:
        for start in range(numbers.start, numbers.stop, 20):
            await asyncio.gather(*[one(number) for number in range(start, start + 20)])
        await asyncio.sleep(30)
        for model in (breaking, steady):
            model.calls.clear()
            model.counted.clear()

    await crowd(range(400))
    before = living()
    await crowd(range(400, 700))
    grown = {name: count - before[name] for name, count in living().items()}
    assert {name: more for name, more in grown.items() if more > GROWN_BY} == {}
