"""How long each step of an attempt may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

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


class Patience:
    """One attempt's deadlines, on the event loop's clock."""

    def __init__(self, timeout: Seconds) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + timeout
        self._timeout = timeout
        self._step_end = self._end
        self._step = "the whole answer"
        self._step_seconds = timeout

    def allow(self, seconds: Seconds, step: str) -> None:
        """From now on, `step` must come within so many seconds, and within the whole."""
        self._step_end = self._clock() + seconds
        self._step, self._step_seconds = step, seconds

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited. Raises ModelError (TIMEOUT) at the nearer deadline."""
        try:
            async with asyncio.timeout_at(min(self._end, self._step_end)):
                return await awaited
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> ModelError:
        whole = self._end <= self._step_end
        step, seconds = (
            ("the whole answer", self._timeout) if whole else (self._step, self._step_seconds)
        )
        return ModelError(ModelErrorKind.TIMEOUT, f"{step} did not come within {seconds:g} s")
