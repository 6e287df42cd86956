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
from services.turns.tick import Tick

Result = TypeVar("Result")
Steps = Generator[Any, Any, Result]

_MOST = 16 * 1024
"""Characters that are passed on together at most: a model that never waits is not read for ever."""
_LEAPS = 16
"""Waits that are over, and are passed over at one go: others are let go first after so many."""
_TRIES = 2
"""Ticks in a row that may bring one piece each before none is waited for any more."""


class Arriving:
    """A model's events, with neighbouring texts joined that came without a wait between them.

    What is there goes on before the model is waited for. With a `tick`, a text that follows the
    one before within a period waits for it, together with what else comes until then. A model
    with which that brings nothing, as it makes a piece only when it is asked for one, is soon
    read without. To be read by one task, and closed by it.
    """

    __slots__ = (
        "_begun",
        "_behind",
        "_events",
        "_gathers",
        "_last",
        "_tick",
        "_time",
        "_tries",
        "_waits_for",
    )

    def __init__(self, events: AsyncGenerator[ModelEvent, None], tick: Tick | None = None) -> None:
        self._events = events
        self._tick = tick
        self._time = asyncio.get_running_loop().time
        self._gathers = False
        self._tries = _TRIES
        self._last = float("-inf")
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
            return self._joined(behind)
        if begun is None:
            return self._joined(await anext(self._events))
        self._begun = None
        if self._gathers and self._tick is not None and self._waits_for is not None:
            return await self._gathered(begun, self._tick)
        return self._joined(await _rest_of(begun, self._waits_for))

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

    def _joined(self, event: ModelEvent) -> ModelEvent:
        """With the text that is there behind it."""
        if type(event) is not TextDelta:
            return event
        if self._tick is not None:
            now = self._time()
            self._gathers = self._tries > 0 and now - self._last < self._tick.period
            self._last = now
        more = self._ready(len(event.text))
        return TextDelta("".join((event.text, *more))) if more else event

    async def _gathered(self, begun: Steps[ModelEvent], tick: Tick) -> ModelEvent:
        """What has come by the tick; where that is nothing, the next event."""
        try:
            await tick.wait()
        except asyncio.CancelledError as cancelled:  # also a time-out of the model's own
            return await _thrown(begun, cancelled)
        texts = self._ready(0, begun)
        if texts:
            self._last = self._time()
            self._tries = _TRIES if len(texts) > 1 else self._tries - 1
            self._gathers = self._tries > 0
            return TextDelta("".join(texts))
        self._gathers = False
        return await self.__anext__()

    def _ready(self, size: int, begun: Steps[ModelEvent] | None = None) -> list[str]:
        """More text, as far as it is there now. What else comes is kept for the next call.

        Where a step was `begun` before, what it waits for may be over by now, and a model that
        lets others go first has done so.
        """
        texts: list[str] = []
        steps, leaps = begun, _LEAPS if begun is not None else 0
        while size < _MOST:
            try:
                if steps is None:
                    steps = anext(self._events).__await__()
                    self._waits_for = steps.send(None)
                if leaps and _is_over(self._waits_for):
                    leaps -= 1
                    self._waits_for = steps.send(None)
            except StopIteration as done:
                steps = None
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


def _is_over(waits_for: object) -> bool:
    """Whether nothing has to be waited for any more: an event loop would go on at once."""
    return waits_for is None or (isinstance(waits_for, asyncio.Future) and waits_for.done())


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


async def _abandon(steps: Steps[ModelEvent]) -> None:
    """Cancel it where it waits, and see it end."""
    try:
        waits_for = steps.throw(asyncio.CancelledError())
    except (StopIteration, StopAsyncIteration, asyncio.CancelledError):
        return
    with suppress(StopAsyncIteration, asyncio.CancelledError):
        await _rest_of(steps, waits_for)
