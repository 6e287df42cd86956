"""What a model has ready is passed on together, so that nobody behind it pays for each piece.

A provider's chunks often come several in one read. What each of them would cost on its way (a
check, a count, an event, a line in the log) is then paid once for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from types import coroutine
from typing import Any, TypeVar

from core.generation import ModelEvent, TextDelta
from core.identifiers import Seconds

Result = TypeVar("Result")
Steps = Generator[Any, Any, Result]

_MOST = 16 * 1024
"""Characters that are passed on together at most: a model that never waits is not read for ever."""


class Arriving:
    """A model's events, with neighbouring texts joined that came without a wait between them.

    What is there goes on before the model is waited for. Where it `gathers`, the model is looked
    after again so long after a text at the earliest: all that has come meanwhile is one text.
    To be read by one task, and closed by it.
    """

    __slots__ = ("_begun", "_behind", "_events", "_gathers", "_next", "_time", "_waits_for")

    def __init__(
        self, events: AsyncGenerator[ModelEvent, None], gathers: Seconds = Seconds(0.0)
    ) -> None:
        self._events = events
        self._gathers = gathers
        self._next = 0.0
        self._time = asyncio.get_running_loop().time
        self._begun: Steps[ModelEvent] | None = None
        self._waits_for: object = None
        self._behind: ModelEvent | Exception | None = None

    def __aiter__(self) -> Arriving:
        return self

    async def __anext__(self) -> ModelEvent:
        behind, begun = self._behind, self._begun
        if behind is not None:
            self._behind = None
            if isinstance(behind, Exception):
                raise behind
            event = behind
        elif begun is not None:
            self._begun = None
            left = self._next - self._time() if self._gathers > 0 else 0.0
            if left > 0:
                event = await _rest_after(left, begun, self._waits_for)
            else:
                event = await _rest_of(begun, self._waits_for)
        else:
            event = await anext(self._events)
        if type(event) is not TextDelta:
            return event
        more = self._ready(len(event.text))
        if self._gathers > 0:
            self._next = self._time() + self._gathers
        return TextDelta("".join((event.text, *more))) if more else event

    async def arrived(self) -> None:
        """Wait until the first event is there, or the end. Raises what comes in place of it."""
        with suppress(StopAsyncIteration):
            self._behind = await anext(self._events)

    async def aclose(self) -> None:
        """Stop the model, also where it has been asked for more already."""
        begun, self._begun = self._begun, None
        if begun is not None:
            await _abandon(begun)
        await self._events.aclose()

    def _ready(self, size: int) -> list[str]:
        """More text, as far as it is there now. What else comes is kept for the next call."""
        texts: list[str] = []
        while size < _MOST:
            steps = anext(self._events).__await__()
            try:
                self._waits_for = steps.send(None)
            except StopIteration as done:
                if type(done.value) is not TextDelta:
                    self._behind = done.value
                    break
                texts.append(done.value.text)
                size += len(done.value.text)
            except Exception as error:  # noqa: BLE001  # raised again, behind the text before it
                self._behind = error
                break
            else:
                self._begun = steps
                break
        return texts


@coroutine
def _rest_of(steps: Steps[Result], waits_for: object) -> Generator[Any, Any, Result]:
    """The rest of something that has gone as far as it could without waiting, for the same task.

    What it `waits_for` is shown to the event loop when somebody awaits this.
    """
    try:
        yield waits_for
    except BaseException as error:  # noqa: BLE001  # it belongs into what is awaited
        return (yield from _thrown(steps, error))
    return (yield from steps)


@coroutine
def _thrown(steps: Steps[Result], error: BaseException) -> Generator[Any, Any, Result]:
    """The rest of it, with this error where it waits."""
    try:
        waits_for = steps.throw(error)
    except StopIteration as done:
        result: Result = done.value
        return result
    return (yield from _rest_of(steps, waits_for))


async def _rest_after(seconds: float, steps: Steps[Result], waits_for: object) -> Result:
    """The rest of it so much later. A time-out of its own that ends meanwhile is still its own."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as cancelled:
        return await _thrown(steps, cancelled)
    return await _rest_of(steps, waits_for)


async def _abandon(steps: Steps[ModelEvent]) -> None:
    """Cancel it where it waits, and see it end."""
    try:
        waits_for = steps.throw(asyncio.CancelledError())
    except (StopIteration, StopAsyncIteration, asyncio.CancelledError):
        return
    with suppress(StopAsyncIteration, asyncio.CancelledError):
        await _rest_of(steps, waits_for)
