"""An event loop whose time jumps: waiting costs nothing, and comes out the same on any machine.

A loop that has nothing ready goes at once to its next timer, unless a thread works for it: its
time stands still until that thread is done, however slow the machine. One that has no timer
either waits for a thread or a socket; if that takes long, nothing will ever happen, and it says so.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar

from typing_extensions import TypeVarTuple, Unpack

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")

_PATIENCE_S = 20.0
_LONGEST_S = 4 * 3600.0


class _Jumping(selectors.DefaultSelector):
    """A selector that advances the time instead of waiting for it."""

    now = 0.0
    threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.threads_at_work > 0:
            timeout = None
        ready = super().select(0 if timeout is not None else _PATIENCE_S)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise AssertionError("every task waits for something that will never happen")
        self.now += timeout
        if self.now > _LONGEST_S:
            raise AssertionError("hours have gone by on the loop's clock: something polls for ever")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its `time` begins at 0 and moves only when every task waits for a timer."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let no time pass while something outside works for the loop, such as a server."""
        self._jumping.threads_at_work += 1
        try:
            yield
        finally:
            self._jumping.threads_at_work -= 1

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[_Arguments]], _Result],
        *args: *_Arguments,
    ) -> asyncio.Future[_Result]:
        work = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        work.add_done_callback(self._thread_is_done)
        return work

    def _thread_is_done(self, _work: asyncio.Future[_Result]) -> None:
        self._jumping.threads_at_work -= 1
