"""The bus of one process under load."""

from __future__ import annotations

import asyncio

from adapters.bus.local import LocalBus
from core.identifiers import TenantId, TurnId
from core.ports.bus import Notice, TurnChanged


def changed(number: int) -> TurnChanged:
    return TurnChanged(TenantId("acme"), TurnId(f"t{number}"))


async def test_equal_notices_that_wait_together_are_told_once() -> None:
    bus = LocalBus()
    heard: list[Notice] = []
    bus.subscribe(changed(1), heard.append)
    for _ in range(100):
        bus.publish(changed(1))
    await asyncio.sleep(0)
    assert heard == [changed(1)]
    bus.publish(changed(1))
    await asyncio.sleep(0)
    assert heard == [changed(1)] * 2


async def test_what_does_not_fit_is_dropped_and_counted() -> None:
    dropped: list[None] = []
    bus = LocalBus(most_waiting=3, dropped=lambda: dropped.append(None))
    heard: list[Notice] = []
    for number in range(5):
        bus.subscribe(changed(number), heard.append)
    for number in range(5):
        bus.publish(changed(number))
    await asyncio.sleep(0)
    assert heard == [changed(0), changed(1), changed(2)]
    assert len(dropped) == 2


async def test_what_nobody_listens_to_takes_no_room() -> None:
    dropped: list[None] = []
    bus = LocalBus(most_waiting=1, dropped=lambda: dropped.append(None))
    heard: list[Notice] = []
    bus.subscribe(changed(7), heard.append)
    for number in range(8):
        bus.publish(changed(number))
    await asyncio.sleep(0)
    assert (heard, dropped) == ([changed(7)], [])


async def test_a_listener_may_publish() -> None:
    bus = LocalBus()
    heard: list[Notice] = []
    bus.subscribe(changed(1), lambda _: bus.publish(changed(2)))
    bus.subscribe(changed(2), heard.append)
    bus.publish(changed(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == [changed(2)]
