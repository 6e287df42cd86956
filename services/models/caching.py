"""A gateway that answers from the cache, and asks once for requests that are equal and overlap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import get_args

from core.call import Call
from core.clock import Clock
from core.errors import DeadlineExceeded, ModelsUnavailable
from core.generation import StopCause, TokenUsage, ToolCallDelta
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    GatewayEvents,
    GenerationOrder,
    ModelGateway,
    Restarted,
    Said,
    Spent,
)
from services.models.response_cache import CachedAnswer, CacheKey, ResponseCache
from services.models.stored_answers import StoredAnswers

_SAID = get_args(Said)
_WHOLE = frozenset({StopCause.STOP, StopCause.LENGTH})


class CachingGateway:
    """The ModelGateway in front of another. Orders that want no cache pass through."""

    def __init__(
        self,
        inner: ModelGateway,
        cache: ResponseCache,
        clock: Clock,
        observer: GatewayObserver = QUIET_GATEWAY,
        stored: StoredAnswers | None = None,
    ) -> None:
        """`stored` are those that other processes, or earlier ones, have left in the state."""
        self._inner = inner
        self._stored = stored
        self._cache = cache
        self._clock = clock
        self._observer = observer
        self._running: dict[CacheKey, _Shared] = {}

    def generate(self, call: Call, order: GenerationOrder) -> GatewayEvents:
        """As the port says."""
        wanted = order.cache.read or order.cache.write
        if not wanted or order.context or order.begun or order.unit.epoch is not None:
            return self._inner.generate(call, order)
        return self._cached(call, order)

    async def _cached(
        self, call: Call, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        key = CacheKey.of(order, self._cache.about)
        if order.cache.read:
            found = self._near(key, order) or await self._far(key, order)
            if found is not None:
                for event in _again(found, call):
                    self._tell(event)
                    yield event
                return
        joins = order.cache.read and not order.explain
        stream = self._shared(call, order, key) if joins else self._kept(call, order, key)
        async with aclosing(stream) as events:
            async for event in events:
                self._tell(event)
                yield event

    def _near(self, key: CacheKey, order: GenerationOrder) -> CachedAnswer | None:
        return self._cache.get(key, self._clock.monotonic(), order.cache.longest)

    async def _far(self, key: CacheKey, order: GenerationOrder) -> CachedAnswer | None:
        """From the state, unless an equal request runs already: then its answer is on the way."""
        running = self._running.get(key)
        if self._stored is None or (running is not None and not running.ended):
            return None
        found = await self._stored.find(key, order.cache.longest)
        if found is None:
            return self._near(key, order)  # it may have come meanwhile
        if key.about == self._cache.about:
            self._cache.put(key, found)
        return found

    def _tell(self, event: GatewayEvent) -> None:
        if isinstance(event, Completed) and event.cached:
            saved = event.spent.saved if event.spent else None
            self._observer.answered_without_call(saved, event.currency)

    async def _kept(
        self, call: Call, order: GenerationOrder, key: CacheKey
    ) -> AsyncGenerator[GatewayEvent, None]:
        """Generate, and keep what came if the order wants that."""
        said: list[Said] = []
        async with aclosing(self._inner.generate(call, order)) as events:
            async for event in events:
                if isinstance(event, _SAID):
                    said.append(event)
                elif isinstance(event, Restarted):
                    said.clear()
                elif isinstance(event, Completed) and order.cache.write and _keeps(event, said):
                    answer = CachedAnswer(tuple(said), event, self._clock.monotonic())
                    self._cache.put(key, answer)
                    if self._stored is not None:
                        self._stored.keep(key, answer)
                yield event

    async def _shared(
        self, call: Call, order: GenerationOrder, key: CacheKey
    ) -> AsyncGenerator[GatewayEvent, None]:
        """Read along with an equal request that runs just now, or be the one that runs."""
        running = self._running.get(key)
        mine = running is None or running.ended or running.restarts is not order.accepts_restart
        if running is None or mine:
            running = _Shared(self._kept(call, order, key), order)
            self._running[key] = running
        heard = False
        try:
            async with aclosing(running.read(mine)) as events:
                async for event in events:
                    heard = heard or isinstance(event, _SAID)
                    if isinstance(event, Completed):
                        call.facts.model_version = event.deployment.name
                    yield event
        except (DeadlineExceeded, ModelsUnavailable):
            if mine or heard or not running.deadline <= self._clock.monotonic() < order.deadline:
                raise
            # it was the other's deadline that was over
            async with aclosing(self._kept(call, order, key)) as events:
                async for event in events:
                    yield event
        finally:
            await running.leave()
            if running.ended and self._running.get(key) is running:
                del self._running[key]


class _Shared:
    """A generation that several read. It stops when the last of them has left."""

    def __init__(self, stream: GatewayEvents, order: GenerationOrder) -> None:
        self.restarts = order.accepts_restart
        self.deadline = order.deadline
        self._events: list[GatewayEvent] = []
        self._news = asyncio.Event()
        self._readers = 0
        self._task = asyncio.create_task(self._run(stream))

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._task.done()

    async def _run(self, stream: GatewayEvents) -> None:
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    self._events.append(event)
                    self._wake()
        finally:
            self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def read(self, mine: bool) -> AsyncGenerator[GatewayEvent, None]:
        """All events from the first; who did not ask first pays nothing."""
        self._readers += 1
        place = 0
        while True:
            while place < len(self._events):
                event = self._events[place]
                place += 1
                yield event if mine or not isinstance(event, Completed) else _free(event)
            if self._task.done():
                self._task.result()
                return
            await self._news.wait()

    async def leave(self) -> None:
        """One reader less; the last one stops the model, and waits until it is booked."""
        self._readers -= 1
        if self._readers <= 0 and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._task.done() and not self._task.cancelled():
            self._task.exception()


def _keeps(end: Completed, said: list[Said]) -> bool:
    """Whether this is an answer for others too: whole, and no proposal to do something."""
    return end.cause in _WHOLE and not any(isinstance(piece, ToolCallDelta) for piece in said)


def _again(answer: CachedAnswer, call: Call) -> list[GatewayEvent]:
    call.facts.model_version = answer.completed.deployment.name
    return [*answer.said, _free(answer.completed)]


def _free(end: Completed) -> Completed:
    """The same end for one who caused no call: nothing was used, and so much was saved."""
    nothing = TokenUsage(0, 0)
    saved = end.spent.saved if end.cached and end.spent else end.cost
    return replace(
        end,
        attempt=0,
        usage=nothing,
        estimated=False,
        cost=Decimal(0),
        spent=Spent(nothing, Decimal(0), 0, saved=saved),
        cached=True,
    )
