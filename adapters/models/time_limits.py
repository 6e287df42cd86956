"""How long each step of an attempt may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Bounds within the whole attempt's time-out.

    `connect` is for reaching the server; `first_token` runs from the sending of the request to
    the first piece of the answer, `between_tokens` from one piece to the next. Comments that a
    server sends to keep the connection open are no pieces.
    """

    connect: Seconds = Seconds(5.0)
    first_token: Seconds = Seconds(60.0)
    between_tokens: Seconds = Seconds(30.0)


class Body(Protocol):
    """A response's body as aiohttp's StreamReader has it."""

    async def readany(self) -> bytes:
        """What has come, once anything has; nothing at the end."""

    def set_exception(self, exc: BaseException) -> None:
        """Whoever waits for more, or comes for it, gets this."""


class Patience:
    """One attempt's deadlines, on the event loop's clock."""

    def __init__(self, timeout: Seconds) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._awaited: Body | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end = self._clock() + timeout
        self._timeout = timeout
        self._step_end = self._end
        self._step = "the whole answer"
        self._step_seconds = timeout

    def allow(self, seconds: Seconds, step: str) -> None:
        """From now on, `step` must come within so many seconds, and within the whole."""
        self._step_end = self._clock() + seconds
        self._step, self._step_seconds = step, seconds
        if self._timer is not None and self._step_end < self._timer.when():
            self.leave()

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited. Raises ModelError (TIMEOUT) at the nearer deadline."""
        try:
            async with asyncio.timeout_at(min(self._end, self._step_end)):
                return await awaited
        except TimeoutError:
            raise self._late() from None

    async def read(self, body: Body) -> bytes:
        """What comes next of the body. Raises ModelError (TIMEOUT) at the nearer deadline.

        A stream is read in many small pieces, and a timer for each would cost as much as the
        piece itself: one timer looks after all of them, and is set anew only when it rings.
        """
        if self._timer is None:
            self._timer = self._loop.call_at(min(self._end, self._step_end), self._look)
        self._awaited = body
        try:
            return await body.readany()
        finally:
            self._awaited = None

    def leave(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """The timer rang: somebody waits in vain, or there is time left, or nobody waits."""
        self._timer = None
        if self._awaited is None:
            return  # the next wait sets it
        deadline = min(self._end, self._step_end)
        if self._clock() < deadline:
            self._timer = self._loop.call_at(deadline, self._look)
        else:
            self._awaited.set_exception(self._late())

    def _late(self) -> ModelError:
        whole = self._end <= self._step_end
        step, seconds = (
            ("the whole answer", self._timeout) if whole else (self._step, self._step_seconds)
        )
        return ModelError(ModelErrorKind.TIMEOUT, f"{step} did not come within {seconds:g} s")
