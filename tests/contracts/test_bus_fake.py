"""The switches of the fake bus, on which tests of faults rely."""

from __future__ import annotations

import asyncio

from core.identifiers import TenantId, TurnId
from core.ports.bus import Notice, TurnChanged
from fakes.bus import FakeExchange
from fakes.virtual_time import VirtualTimeLoop

CHANGED = TurnChanged(TenantId("acme"), TurnId("t1"))


async def _steps() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_loses_everything_until_it_heals() -> None:
    exchange = FakeExchange()
    here, there = exchange.replica(), exchange.replica()
    heard: list[Notice] = []
    there.subscribe(CHANGED, heard.append)
    exchange.lose_everything()
    here.publish(CHANGED)
    await _steps()
    assert heard == []
    exchange.heal()
    here.publish(CHANGED)
    await _steps()
    assert heard == [CHANGED]


async def _heard_when(exchange: FakeExchange, wait_s: float) -> list[float]:
    loop = asyncio.get_running_loop()
    here, there = exchange.replica(), exchange.replica()
    times: list[float] = []
    there.subscribe(CHANGED, lambda _: times.append(loop.time()))
    here.publish(CHANGED)
    await asyncio.sleep(wait_s)
    return times


def test_it_delays() -> None:
    exchange = FakeExchange()
    exchange.delay(3.0)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(_heard_when(exchange, 5.0)) == [3.0]


def test_what_arrives_at_a_replica_that_is_cut_off_is_lost() -> None:
    exchange = FakeExchange()
    exchange.delay(3.0)

    async def cut_meanwhile() -> list[float]:
        asyncio.get_running_loop().call_later(1.0, exchange.go_away)
        return await _heard_when(exchange, 5.0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(cut_meanwhile()) == []


async def test_one_replica_alone_can_be_cut_off() -> None:
    exchange = FakeExchange()
    here, there, other = exchange.replica(), exchange.replica(), exchange.replica()
    cut: list[Notice] = []
    kept: list[Notice] = []
    there.subscribe(CHANGED, cut.append)
    other.subscribe(CHANGED, kept.append)
    there.go_away()
    here.publish(CHANGED)
    there.publish(CHANGED)
    await _steps()
    assert (cut, kept, there.dropped) == ([], [CHANGED], 1)
    there.come_back()
    await _steps()
    assert cut == [CHANGED]
