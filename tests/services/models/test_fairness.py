"""Tenants of unequal size at one deployment that is full: who gets how much, and who waits.

500 clients, of which one tenant has 400. A share is measured against what the tenant is entitled
to: as much as it asks for, and nobody more than another who lacks something.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable

from benchmarks.gateway_streams import fair_shares, jain_index
from core.catalog import Limits
from core.clock import Clock
from core.identifiers import Seconds, TenantId
from core.resilience.failures import ANSWERED
from core.resilience.policy import PLAIN
from fakes.turn_node import a_model, loop_clock
from services.models.lanes import Lane
from services.models.line import TurnedAway

STREAM_S, WARM_S, MEASURED_S = 6.0, 30.0, 60.0
CROWD, SMALL = "crowd", tuple(f"small-{number}" for number in range(9))
UNEQUAL = {CROWD: 400, SMALL[0]: 12, **dict.fromkeys(SMALL[1:], 11)}
LONG = Seconds(1000.0)


class Tenants:
    """Clients that ask again as soon as they have an answer, or after a rest."""

    def __init__(self, limits: Limits, rest: Callable[[str], float] = lambda _: 0.0) -> None:
        self.clock: Clock = loop_clock()
        self.lane = Lane(a_model(limits=limits).deployment, self.clock, PLAIN)
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.longest_wait: dict[str, float] = defaultdict(float)
        self._rest = rest
        self._chance = random.Random(5)

    async def run(self) -> None:
        """All of them for a while; what they get before the house has settled does not count."""
        clients = [tenant for tenant, count in UNEQUAL.items() for _ in range(count)]
        tasks = [asyncio.create_task(self._client(tenant)) for tenant in clients]
        await asyncio.sleep(WARM_S)
        self.served.clear()
        self.longest_wait.clear()
        await asyncio.sleep(MEASURED_S)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _client(self, tenant: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, STREAM_S))
        while True:
            began = self.clock.monotonic()
            try:
                passage = await self.lane.enter(TenantId(tenant), 100, LONG)
            except TurnedAway as away:
                self.refused[tenant] += 1
                await asyncio.sleep(4 * away.retry_after)
                continue
            waited = self.clock.monotonic() - began
            self.longest_wait[tenant] = max(self.longest_wait[tenant], waited)
            try:
                await asyncio.sleep(self._chance.uniform(0.5, 1.5) * STREAM_S)
            finally:
                passage.leave(ANSWERED, 100)
            self.served[tenant] += 1
            await asyncio.sleep(self._rest(tenant))

    def index(self, rest: float = 0.0) -> float:
        """Jain's index of what each got of what it was entitled to, if the small rest so long."""
        each = {name: MEASURED_S / (STREAM_S + rest * (name != CROWD)) for name in UNEQUAL}
        demand = {name: count * each[name] for name, count in UNEQUAL.items()}
        entitled = fair_shares(demand, sum(self.served.values()))
        return jain_index([self.served[name] / entitled[name] for name in demand])

    @property
    def longest_of_the_small(self) -> float:
        return max(self.longest_wait[name] for name in SMALL)


def test_shares_are_filled_from_the_smallest_demand_up() -> None:
    assert fair_shares({"a": 1, "b": 5, "c": 100}, 12) == {"a": 1, "b": 5, "c": 6}
    assert fair_shares({"a": 2, "b": 2}, 12) == {"a": 6, "b": 6}  # what nobody asked for
    assert fair_shares({"a": 9, "b": 90}, 10) == {"a": 5, "b": 5}


async def test_a_tenant_with_400_streams_gets_no_more_than_one_with_11() -> None:
    tenants = Tenants(Limits(concurrent=60, queued=1000))
    await tenants.run()
    assert tenants.index() >= 0.99
    assert tenants.longest_of_the_small < 3 * STREAM_S
    assert tenants.lane._line.length == 0
    assert tenants.lane.outstanding == 0


async def test_those_that_come_in_bursts_get_what_they_ask_for() -> None:
    """Nine tenants send all they have, and rest for half a minute; the crowd never does."""
    tenants = Tenants(Limits(concurrent=100, queued=1000), lambda t: 0.0 if t == CROWD else 30.0)
    await tenants.run()
    assert tenants.index(rest=30.0) >= 0.95
    assert tenants.longest_of_the_small < STREAM_S
    assert sum(tenants.served.values()) > 0.9 * 100 * MEASURED_S / STREAM_S  # no place stays empty


async def test_a_line_that_is_full_turns_away_the_crowd_alone() -> None:
    tenants = Tenants(Limits(concurrent=50, queued=120))
    await tenants.run()
    assert tenants.index() >= 0.95
    assert tenants.refused[CROWD] > 0
    assert [tenants.refused[name] for name in SMALL] == [0] * 9


async def test_a_published_rate_is_shared_as_fairly_as_places_are() -> None:
    tenants = Tenants(Limits(requests_per_minute=300, queued=1000))
    await tenants.run()
    assert tenants.index() >= 0.95
    assert tenants.longest_of_the_small < 4 * STREAM_S
    assert 250 <= sum(tenants.served.values()) <= 310


async def test_so_are_tokens_a_minute_however_many_each_call_takes() -> None:
    tenants = Tenants(Limits(tokens_per_minute=30_000, concurrent=200, queued=1000))
    await tenants.run()
    assert tenants.index() >= 0.95
    assert 250 <= sum(tenants.served.values()) <= 310
