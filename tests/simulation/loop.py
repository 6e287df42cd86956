"""An event loop without time, threads or sockets: what runs next is drawn from a seed.

Every handle belongs to an actor (a life of a replica, the store, a client), which it inherits
through its context. Handles of one actor run in the order in which they were made, as asyncio
promises them; whose turn it is among the actors is drawn. Time moves only when nobody has
anything to do. An actor that is paused keeps its handles and its timers for later; one that is
dead never runs again, not even to clean up.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import sys
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

_HASH = 0xFFFFFFFFFFFF


class Actor:
    """Someone whose steps run in order. `alarms` are called before the step of that number."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.ready: deque[Handle] = deque()
        self.listed = False
        self.paused = False
        self.dead = False
        self.steps = 0
        self.alarms: list[tuple[int, Callable[[], None]]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = copy_context()
        self.context.run(_ACTOR.set, self)


_ACTOR: ContextVar[Actor] = ContextVar("actor")


class Handle:
    """A call that is due: as much of asyncio.TimerHandle as asyncio itself asks for."""

    __slots__ = ("_cancelled", "_when", "actor", "args", "callback", "context")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
        when: float,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.actor = context[_ACTOR]
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self.args = ()

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


def seeded_loop(draw: random.Random) -> SeededLoop:
    """A loop. What it lacks (sockets, threads, processes, signals) nobody here may ask for."""
    return SeededLoop(draw)  # type: ignore[abstract]


class SeededLoop(asyncio.AbstractEventLoop):
    """Runs until `finish` is called. `digest` stands for the whole course of events."""

    def __init__(self, draw: random.Random) -> None:
        self._random = draw.random
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._timer_count = 0
        self._busy: list[Actor] = []
        self._finished = False
        self._actors = 0
        self.steps = 0
        self.digest = 0
        self.faults: list[str] = []
        self.on_fault: Callable[[str], None] = self.faults.append

    def actor(self, name: str) -> Actor:
        """A new actor, whose context is `context`."""
        self._actors += 1
        return Actor(name, self._actors)

    def current(self) -> Actor:
        """Whose step this is."""
        return _ACTOR.get()

    def pause(self, actor: Actor) -> None:
        """None of its handles run until `go_on`."""
        actor.paused = True
        self._unlist(actor)

    def go_on(self, actor: Actor) -> None:
        """Its handles run again; timers that were due meanwhile are due now."""
        actor.paused = False
        self._list(actor)

    def kill(self, actor: Actor) -> None:
        """Nothing of it ever runs again. What it held is kept, so that nothing is cleaned up."""
        actor.dead = True
        self._unlist(actor)

    def run(self) -> None:
        """Run until somebody calls `finish`, or nothing is left to be done."""
        hooks = sys.get_asyncgen_hooks()
        asyncio_events._set_running_loop(self)
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        try:
            while not self._finished and (self._busy or self._advance()):
                if self._busy:
                    self._step()
        finally:
            self._finished = True
            asyncio_events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def finish(self) -> None:
        """Stop after this step; nothing that is left ever runs."""
        self._finished = True

    def _step(self) -> None:
        busy = self._busy
        index = int(self._random() * len(busy)) if len(busy) > 1 else 0
        actor = busy[index]
        if actor.alarms and actor.alarms[0][0] <= actor.steps:
            actor.alarms.pop(0)[1]()
            return
        handle = actor.ready.popleft()
        if not actor.ready:
            actor.listed = False
            busy[index] = busy[-1]
            busy.pop()
        if handle._cancelled:
            return
        self.steps += 1
        actor.steps += 1
        self.digest = (self.digest * 31 + actor.number) & _HASH
        handle.context.run(handle.callback, *handle.args)

    def _advance(self) -> bool:
        """Move the time to the next timer; False where there is none."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            return False
        self._now = max(self._now, timers[0][0])
        self.digest = (self.digest * 31 + hash(self._now)) & _HASH
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                self._enqueue(handle)
        return True

    def _enqueue(self, handle: Handle) -> None:
        actor = handle.actor
        if actor.dead:
            return
        actor.ready.append(handle)
        if not actor.listed:
            self._list(actor)

    def _list(self, actor: Actor) -> None:
        if actor.ready and not actor.paused and not actor.dead and not actor.listed:
            actor.listed = True
            self._busy.append(actor)

    def _unlist(self, actor: Actor) -> None:
        if actor.listed:
            actor.listed = False
            self._busy.remove(actor)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._finished:
            self.call_soon(self.create_task, generator.aclose())

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, copy_context() if context is None else context, self._now)
        if not self._finished:
            self._enqueue(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, copy_context() if context is None else context, when)
        if not self._finished and not handle.actor.dead:
            self._timer_count += 1
            heapq.heappush(self._timers, (when, self._timer_count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        actor = context[_ACTOR] if context is not None else _ACTOR.get()
        actor.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._finished:
            self.on_fault(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._finished

    def is_closed(self) -> bool:
        return self._finished
