"""Text that follows closely goes together; the first, and what comes after a pause, at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeGuard

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
from services.turns.tick import Tick

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


def is_text(event: ModelEvent) -> TypeGuard[TextDelta]:
    return isinstance(event, TextDelta)


async def heard(*news: Heard, tick: Tick | None = None) -> list[Heard]:
    """What is passed on, and when."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    said = [(at, TextDelta(what) if isinstance(what, str) else what) for at, what in news]
    return [
        (round(loop.time() - began, 3), event.text if isinstance(event, TextDelta) else event)
        async for event in Arriving(provider(*said), tick or Tick(WINDOW))
    ]


async def test_the_first_goes_at_once_and_what_follows_closely_goes_together() -> None:
    news: list[Heard] = [(0.005, "a"), (0.010, "b"), (0.020, "c"), (0.029, "d"), (0.041, END)]
    assert await heard(*news) == [(0.005, "a"), (0.01, "b"), (0.03, "cd"), (0.05, END)]


async def test_after_a_pause_nothing_is_waited_for() -> None:
    news: list[Heard] = [(0.005, "a"), (0.105, "b"), (0.205, END)]
    assert await heard(*news) == news


async def test_all_streams_wait_for_one_tick() -> None:
    tick = Tick(WINDOW)
    first: list[Heard] = [(at / 1000, str(at)) for at in range(1, 101, 3)]
    second: list[Heard] = [(at / 1000, str(at)) for at in range(8, 102, 3)]
    one, other = await asyncio.gather(heard(*first, tick=tick), heard(*second, tick=tick))
    assert [at for at, _ in one[2:-1]] == [at for at, _ in other[2:-1]]
    assert "".join(str(text) for _, text in one) == "".join(str(text) for _, text in first)


async def paced(pieces: int, pause: Callable[[int], float]) -> AsyncGenerator[ModelEvent, None]:
    """It waits before each piece, when it is asked for it, for as long as `pause` says."""
    for piece in range(pieces):
        await asyncio.sleep(pause(piece))
        yield TextDelta("x")


async def test_a_model_that_keeps_a_pace_of_its_own_keeps_it() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    pieces = paced(50, lambda piece: began + (piece + 1) * 0.01 - loop.time())
    texts = [event.text async for event in Arriving(pieces, Tick(WINDOW)) if is_text(event)]
    assert "".join(texts) == "x" * 50
    assert len(texts) < 30
    assert loop.time() - began < 0.55


async def test_a_model_that_works_only_when_it_is_asked_is_not_slowed_down_for_long() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    pieces = paced(50, lambda _: 0.01)
    texts = [event.text async for event in Arriving(pieces, Tick(WINDOW)) if is_text(event)]
    assert "".join(texts) == "x" * 50
    assert loop.time() - began < 0.55


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
        arriving = Arriving(model(), Tick(WINDOW))
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

    arriving = Arriving(model(), Tick(WINDOW))
    assert await anext(arriving) == TextDelta("a")
    with pytest.raises(ModelError, match="late"):
        await anext(arriving)
