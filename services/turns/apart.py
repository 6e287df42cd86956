"""Waiting for what goes on whether or not somebody waits for it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def apart(future: asyncio.Future[Result]) -> Result:
    """The future's result. Who is cancelled while waiting leaves the future as it is.

    As asyncio.shield, for half of its calls.
    """
    waiter: asyncio.Future[None] = future.get_loop().create_future()

    def wake(done: asyncio.Future[Result]) -> None:
        if not waiter.done():
            waiter.set_result(None)
        elif not done.cancelled():
            done.exception()  # nobody is left to be told

    future.add_done_callback(wake)
    await waiter
    return future.result()
