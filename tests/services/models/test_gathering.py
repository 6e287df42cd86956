"""Text that follows closely goes together; the first, and what comes after a pause, at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.generation import (
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import Seconds
from services.models.arriving import Arriving

END = ModelFinished(StopCause.STOP, TokenUsage(1, 2))
WINDOW = Seconds(0.02)


async def provider(*news: tuple[float, ModelEvent]) -> AsyncGenerator[ModelEvent, None]:
    """Each event comes when its time has come, whether or not somebody waits for it."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[ModelEvent] = asyncio.Queue()
    for at, event in news:
        loop.call_later(at, arrived.put_nowait, event)
    for _ in news:
        yield await arrived.get()


Heard = tuple[float, str | ModelEvent]


async def heard(*news: Heard) -> list[Heard]:
    """What is passed on, and when."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    said = [(at, TextDelta(what) if isinstance(what, str) else what) for at, what in news]
    return [
        (round(loop.time() - began, 3), event.text if isinstance(event, TextDelta) else event)
        async for event in Arriving(provider(*said), WINDOW)
    ]


async def test_the_first_goes_at_once_and_what_follows_closely_goes_together() -> None:
    news: list[Heard] = [(0.005, "a"), (0.010, "b"), (0.020, "c"), (0.030, "d"), (0.031, END)]
    assert await heard(*news) == [(0.005, "a"), (0.025, "bc"), (0.045, "d"), (0.045, END)]


async def test_after_a_pause_nothing_is_waited_for() -> None:
    news: list[Heard] = [(0.005, "a"), (0.105, "b"), (0.205, END)]
    assert await heard(*news) == news


async def test_the_end_that_is_there_is_not_waited_for() -> None:
    assert await heard((0.0, "a"), (0.0, END)) == [(0.0, "a"), (0.0, END)]


async def test_who_leaves_while_more_is_gathered_stops_the_model() -> None:
    ended: list[str] = []

    async def model() -> AsyncGenerator[ModelEvent, None]:
        try:
            yield TextDelta("a")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("stopped")
            raise

    async def reads() -> None:
        arriving = Arriving(model(), WINDOW)
        try:
            async for _ in arriving:
                pass
        finally:
            await arriving.aclose()

    task = asyncio.create_task(reads())
    await asyncio.sleep(WINDOW / 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["stopped"]


async def test_a_time_out_of_the_model_while_more_is_gathered_is_its_own() -> None:
    async def model() -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("a")
        try:
            async with asyncio.timeout(WINDOW / 2):
                await asyncio.sleep(60)
        except TimeoutError:
            raise ModelError(ModelErrorKind.TIMEOUT, "late") from None

    arriving = Arriving(model(), WINDOW)
    assert await anext(arriving) == TextDelta("a")
    with pytest.raises(ModelError, match="late"):
        await anext(arriving)
