"""Settings that are read again: by whom, one after another, and what is told of it."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import InvalidInput, PreconditionFailed
from core.ports.bus import Everyone
from fakes.bus import fake_bus
from services.configuration import Configuration, Reloaded

DONE = Reloaded(("routes.cheap.strategy",), ("server.address",))
REFUSED = InvalidInput.at("routes.cheap.candidates", "no deployment 'x'")


class Reading:
    """A way to the settings that counts, and says at most one thing at a time."""

    def __init__(self, outcome: Reloaded | InvalidInput = DONE) -> None:
        self.outcome = outcome
        self.count = self.running = self.most = 0

    async def __call__(self) -> Reloaded:
        self.count += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        if isinstance(self.outcome, InvalidInput):
            raise self.outcome
        return self.outcome


async def test_whoever_asks_is_told_and_the_others_read_too() -> None:
    told: list[object] = []
    here, there = Reading(), Reading(REFUSED)
    bus = fake_bus()
    one, other = Configuration(bus), Configuration(bus, told.append)
    one.open(here)
    other.open(there)
    assert await one.reload() == DONE
    await asyncio.sleep(0.05)
    await one.close()
    await other.close()
    assert (here.count, there.count) == (2, 1)  # once by itself, once as one of all
    assert told == [REFUSED]


async def test_a_refusal_is_nobody_elses_business() -> None:
    here, there = Reading(REFUSED), Reading()
    bus = fake_bus()
    one, other = Configuration(bus), Configuration(bus)
    one.open(here)
    other.open(there)
    with pytest.raises(InvalidInput):
        await one.reload()
    await one.close()
    await other.close()
    assert there.count == 0


async def test_they_are_read_by_one_at_a_time() -> None:
    reading = Reading()
    bus = fake_bus()
    one = Configuration(bus)
    one.open(reading)
    await asyncio.gather(*(one.reload() for _ in range(5)))
    for _ in range(5):
        one.soon()
    await one.close()
    assert reading.most == 1


async def test_without_settings_to_read_again_it_is_refused() -> None:
    bus = fake_bus()
    one = Configuration(bus)
    one.open(None)
    with pytest.raises(PreconditionFailed):
        await one.reload()
    bus.publish(Everyone.RELOAD)
    await one.close()
