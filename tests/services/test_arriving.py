"""Text that a model has ready comes together; nothing is held back, lost, or left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.generation import (
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    StopCause,
    TextDelta,
    TokenUsage,
)
from services.models.arriving import Arriving

END = ModelFinished(StopCause.STOP, TokenUsage(1, 2))
BROKEN = ModelError(ModelErrorKind.CONNECTION, "cut")
Step = str | float | ModelEvent | Exception


async def events(*steps: Step) -> AsyncGenerator[ModelEvent, None]:
    """Texts are said, numbers waited for, errors raised."""
    for step in steps:
        match step:
            case str():
                yield TextDelta(step)
            case float():
                await asyncio.sleep(step)
            case Exception():
                raise step
            case _:
                yield step


async def read(*steps: Step) -> list[ModelEvent]:
    return [event async for event in Arriving(events(*steps))]


async def test_what_is_ready_comes_together() -> None:
    assert await read("a", "b", "c", END) == [TextDelta("abc"), END]


async def test_what_has_to_be_waited_for_comes_later() -> None:
    expected = [TextDelta("ab"), TextDelta("cd"), TextDelta("e"), END]
    assert await read("a", "b", 0.0, "c", "d", 0.01, "e", 0.0, END) == expected


async def test_nothing_is_held_back_while_the_model_is_waited_for() -> None:
    more = asyncio.Event()

    async def model() -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("first")
        await more.wait()
        yield TextDelta("second")

    arriving = Arriving(model())
    assert await anext(arriving) == TextDelta("first")
    waiting = asyncio.ensure_future(anext(arriving))
    await asyncio.sleep(0)
    assert not waiting.done()
    more.set()
    assert await waiting == TextDelta("second")
    with pytest.raises(StopAsyncIteration):
        await anext(arriving)


async def test_other_events_keep_their_places() -> None:
    thought = ReasoningDelta("hm")
    assert await read("a", thought, "b", "c", thought, END) == [
        TextDelta("a"),
        thought,
        TextDelta("bc"),
        thought,
        END,
    ]


@pytest.mark.parametrize("pause", [(), (0.0,)])
async def test_an_error_comes_behind_the_text_before_it(pause: tuple[float, ...]) -> None:
    arriving = Arriving(events("a", "b", *pause, BROKEN))
    assert await anext(arriving) == TextDelta("ab")
    with pytest.raises(ModelError, match="cut"):
        await anext(arriving)


async def test_a_model_that_never_waits_is_read_in_parts() -> None:
    pieces = await read(*["x" * 1000] * 100)
    assert len(pieces) == 6
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == "x" * 100_000


class Sleeper:
    """Says something and then nothing for long; notes how it was stopped."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def stream(self) -> AsyncGenerator[ModelEvent, None]:
        try:
            async with asyncio.timeout(60):
                yield TextDelta("a")
                await asyncio.sleep(60)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            await asyncio.sleep(0.001)  # a connection takes a moment to close
            self.ended.append("closed")
            raise


async def test_closing_stops_a_model_that_was_asked_for_more() -> None:
    sleeper = Sleeper()
    arriving = Arriving(sleeper.stream())
    assert await anext(arriving) == TextDelta("a")
    await arriving.aclose()
    assert sleeper.ended == ["CancelledError", "closed"]
    assert asyncio.current_task() is not None
    await asyncio.sleep(0)  # nothing of it reaches whoever closed it


async def test_cancelling_who_reads_stops_the_model() -> None:
    sleeper = Sleeper()

    async def reads() -> None:
        arriving = Arriving(sleeper.stream())
        try:
            async for _ in arriving:
                pass
        finally:
            await arriving.aclose()

    task = asyncio.create_task(reads())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sleeper.ended == ["CancelledError", "closed"]


async def test_a_time_out_of_the_model_is_its_own() -> None:
    async def model() -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("a")
        try:
            async with asyncio.timeout(0.005):
                await asyncio.sleep(60)
        except TimeoutError:
            raise BROKEN from None

    arriving = Arriving(model())
    assert await anext(arriving) == TextDelta("a")
    with pytest.raises(ModelError, match="cut"):
        await anext(arriving)


async def test_closing_what_was_never_read() -> None:
    sleeper = Sleeper()
    await Arriving(sleeper.stream()).aclose()
    assert sleeper.ended == []
