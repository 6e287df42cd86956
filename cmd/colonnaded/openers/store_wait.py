"""A process that starts while its store is away waits for it, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from core.identifiers import Seconds
from core.ports.state import State, StoreUnavailable

Tell = Callable[[str, Seconds], None]
"""Takes what keeps the store from being used, and how long it will be waited for."""

_PAUSE_S = 1.0


async def wait_for_store(
    open_once: Callable[[], Awaitable[State]],
    patience: Seconds,
    tell: Tell,
    meanwhile: Callable[[], AbstractAsyncContextManager[None]],
) -> State:
    """The store, once it can be opened.

    From the first failure on, `meanwhile` stands and every failure is told. Raises the last one
    where it is still away when `patience` is over, and at once what no waiting mends.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    try:
        return await open_once()
    except StoreUnavailable as away:
        _judge(away, Seconds(until - loop.time()), tell)
    async with meanwhile():
        while True:
            await asyncio.sleep(min(_PAUSE_S, max(0.0, until - loop.time())))
            try:
                return await open_once()
            except StoreUnavailable as away:
                _judge(away, Seconds(until - loop.time()), tell)


def _judge(away: StoreUnavailable, left: Seconds, tell: Tell) -> None:
    """Tell of it, where it may pass and there is time; else it goes on as it is."""
    from adapters.state.failures import StoreUnusable

    if isinstance(away, StoreUnusable) or left <= 0:
        raise away
    tell(away.message, left)
