"""The line in front of a deployment under random crowds: what it never does, whatever comes."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest

from core.catalog import Limits
from core.identifiers import DeploymentName, Seconds, TenantId
from services.models.line import Line, TurnedAway

MINUTE = 60.0


def now() -> Seconds:
    return Seconds(asyncio.get_running_loop().time())


class Crowd:
    """Calls that come, wait, leave the line, work and end at random; and what was seen of them."""

    def __init__(self, limits: Limits, chance: random.Random) -> None:
        self.limits = limits
        self.line = Line(DeploymentName("d"), limits, now, lambda: Seconds(1.0))
        self.under_way = 0
        self.most_under_way = 0
        self.went: deque[tuple[float, int]] = deque()
        self.outcomes = {"went": 0, "turned away": 0, "left": 0}
        self._chance = chance

    async def call(self) -> None:
        chance = self._chance
        tenant = TenantId(f"t{chance.randrange(4)}")
        tokens = chance.randrange(1, 400)
        await asyncio.sleep(chance.uniform(0, 90))
        try:
            async with asyncio.timeout(chance.choice([None, chance.uniform(0, 5)])):
                if not self.line.went(tenant, tokens, now()):
                    await self.line.wait(tenant, tokens, Seconds(chance.choice([0.0, 3.0, 200.0])))
        except TurnedAway as away:
            self.outcomes["turned away"] += away.retry_after > 0  # it says when to come back
            return
        except TimeoutError:
            self.outcomes["left"] += 1
            return
        self.outcomes["went"] += 1
        if chance.random() < 0.1:
            self.line.give_back(tenant, tokens)
            return
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.went.append((now(), tokens))
        await asyncio.sleep(chance.uniform(0.1, 8))
        self.under_way -= 1
        self.line.leave(tenant, tokens, tokens)


def most_in_a_minute(went: deque[tuple[float, int]], weigh: bool) -> float:
    """The most that went within any minute: calls, or their tokens."""
    within: deque[tuple[float, int]] = deque()
    most = total = 0
    for at, tokens in went:
        amount = tokens if weigh else 1
        within.append((at, amount))
        total += amount
        while within[0][0] <= at - MINUTE:
            total -= within.popleft()[1]
        most = max(most, total)
    return most


@pytest.mark.parametrize("seed", range(12))
async def test_no_limit_is_broken_and_nobody_is_forgotten(seed: int) -> None:
    chance = random.Random(seed)
    limits = Limits(
        requests_per_minute=chance.choice([None, 30, 300]),
        tokens_per_minute=chance.choice([None, 4_000, 60_000]),
        concurrent=chance.choice([None, 1, 5]),
        queued=chance.choice([0, 10, 1_000]),
    )
    crowd = Crowd(limits, chance)
    calls = 200
    await asyncio.gather(*[crowd.call() for _ in range(calls)])
    assert sum(crowd.outcomes.values()) == calls
    assert (crowd.line.length, crowd.line._under_way, crowd.line._running) == (0, 0, {})
    if limits.concurrent is not None:
        assert crowd.most_under_way <= limits.concurrent
    # A bucket that was full lets through what it holds and what flows in meanwhile.
    if limits.requests_per_minute is not None:
        assert most_in_a_minute(crowd.went, weigh=False) <= 2 * limits.requests_per_minute + 1
    if limits.tokens_per_minute is not None:
        assert most_in_a_minute(crowd.went, weigh=True) <= 2 * limits.tokens_per_minute + 400


async def test_who_waits_goes_as_soon_as_a_reload_makes_room() -> None:
    line = Line(DeploymentName("d"), Limits(concurrent=1), now, lambda: Seconds(1.0))
    assert line.went(TenantId("a"), 1, now())
    waiting = asyncio.create_task(line.wait(TenantId("a"), 1, Seconds(100.0)))
    await asyncio.sleep(1)
    assert not waiting.done()
    line.of(Limits(concurrent=2))
    await asyncio.wait_for(waiting, 0.1)
    line.leave(TenantId("a"), 1, 1)
    line.leave(TenantId("a"), 1, 1)
    assert line.went(TenantId("b"), 1, now())


async def test_what_is_given_back_is_there_for_the_next() -> None:
    limits = Limits(requests_per_minute=1, tokens_per_minute=100)
    line = Line(DeploymentName("d"), limits, now, lambda: Seconds(1.0))
    assert line.went(TenantId("a"), 100, now())
    assert not line.went(TenantId("b"), 100, now())
    line.give_back(TenantId("a"), 100)
    assert line.went(TenantId("b"), 100, now())
