"""When calls are over whatever they do: one timer for all of them, not one a call."""

from __future__ import annotations

import asyncio


class Cutoff:
    """The end of one call's time. `passed` says that its task was cancelled by it."""

    __slots__ = ("_before", "at", "passed", "task")

    def __init__(self, at: float, task: asyncio.Task[object]) -> None:
        self.at = at
        self.task = task
        self.passed = False
        self._before = task.cancelling()

    def pass_by(self) -> None:
        """The time is over."""
        self.passed = True
        self.task.cancel()

    def caused(self, error: BaseException) -> bool:
        """Whether this error is how the task was told so, and nobody else has cancelled it."""
        if not self.passed or not isinstance(error, asyncio.CancelledError):
            return False
        return self.task.uncancel() <= self._before


class Cutoffs:
    """Cancels each call whose time is over. Times are the event loop's.

    Most calls end long before, so the one timer is set for the earliest of those that it knew
    when it was set, and looks again.
    """

    def __init__(self) -> None:
        self._running: dict[Cutoff, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, at: float) -> Cutoff:
        """A call that is over at that time, and runs in this task."""
        task = asyncio.current_task()
        assert task is not None  # gRPC runs each call in one
        cutoff = Cutoff(at, task)
        self._running[cutoff] = None
        if self._timer is None or at < self._timer.when():
            self._set(at)
        return cutoff

    def remove(self, cutoff: Cutoff) -> None:
        """The call has come to its end. Idempotent."""
        self._running.pop(cutoff, None)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for cutoff in [cutoff for cutoff in self._running if cutoff.at <= now]:
            del self._running[cutoff]
            cutoff.pass_by()
        if self._running:
            self._set(min(cutoff.at for cutoff in self._running))
