"""The caches' rows in the state: read within a short time, written behind the answer.

Whatever goes wrong with the store, a request only misses what it might have found there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import ColonnadeError
from core.identifiers import Seconds, TenantId
from core.ports.cache_observer import QUIET_CACHE, CacheObserver, LookUp
from core.ports.cache_rows import CachedRow
from core.ports.state import EVERY_TENANT, State
from services.models.cache_queue import CacheQueue

_REST = Seconds(1.0)
"""How long a store that was away, or slow, is not asked again."""
_WRITE, _LAST_WRITES = Seconds(5.0), Seconds(2.0)
_BETWEEN_SWEEPS = Seconds(60.0)
_SWEPT = 500
_SLACK = 20
"""A tenant's rows are bounded anew once the twentieth part of what it may have was written."""


@dataclass(frozen=True, slots=True)
class CacheBounds:
    """How long a read may take, and what each tenant may keep of each kind of value."""

    read: Seconds
    most_rows: int
    most_bytes: int


class CacheStore:
    """Finds rows and keeps them. `run` writes and sweeps while the process lives."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        bounds: CacheBounds,
        observer: CacheObserver = QUIET_CACHE,
    ) -> None:
        self._state = state
        self._clock = clock
        self._bounds = bounds
        self._observer = observer
        self._queue = CacheQueue(bounds.most_bytes)
        self._written: dict[tuple[TenantId, str], tuple[int, int]] = {}
        self._rests_until = 0.0

    async def find(
        self, tenant: TenantId, kind: str, keys: Sequence[str]
    ) -> Mapping[str, CachedRow]:
        """What is there and has not expired, by key. A store that is away has nothing."""
        found = await self._found(tenant, kind, keys)
        if found is None:
            self._observer.cache_looked_up(kind, LookUp.AWAY, len(keys))
            return {}
        now = self._clock.now()
        live = {row.key: row for row in found if now < row.expires_at}
        if len(live) < len(set(keys)):
            self._observer.cache_looked_up(kind, LookUp.MISS, len(set(keys)) - len(live))
        return live

    def told(self, kind: str, outcome: LookUp) -> None:
        """What came of a row that was found."""
        self._observer.cache_looked_up(kind, outcome, 1)

    def keep(self, tenant: TenantId, kind: str, key: str, body: bytes, lasts: Seconds) -> None:
        """Write it soon, or never where too much waits already."""
        now = self._clock.now()
        row = CachedRow(tenant, kind, key, body, now, now + timedelta(seconds=lasts))
        if not self._queue.put(row):
            self._observer.cache_dropped(kind, 1)

    async def run(self) -> None:
        """Write what is to be kept, and sweep what has expired, until cancelled."""
        await asyncio.gather(self._write_behind(), self._sweep_now_and_then())

    async def flush(self) -> None:
        """Write all that waits."""
        while batch := self._queue.take():
            for tenant in dict.fromkeys(row.tenant for row in batch):
                await self._write(tenant, [row for row in batch if row.tenant == tenant])

    async def close(self) -> None:
        """Write what still waits, if that can be done at once."""
        try:
            async with asyncio.timeout(_LAST_WRITES):
                await self.flush()
        except TimeoutError:
            return

    async def sweep(self) -> None:
        """Delete what has expired, and what is beyond the bounds."""
        swept = _SWEPT
        while swept == _SWEPT:
            async with self._state.transaction(EVERY_TENANT) as tx:
                swept = await tx.cached.sweep(self._clock.now(), _SWEPT)
        for tenant, kind in list(self._written):
            await self._bound(tenant, kind)

    async def _write_behind(self) -> None:
        while True:
            await self._queue.wait()
            await self.flush()

    async def _sweep_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_SWEEPS)
            try:
                await self.sweep()
            except (ColonnadeError, TimeoutError):
                continue  # the next round may find the store there

    async def _found(
        self, tenant: TenantId, kind: str, keys: Sequence[str]
    ) -> Sequence[CachedRow] | None:
        """The rows; None where the store does not answer in time.

        The reading is left to end by itself then: waiting for that might take longer than the
        time it has.
        """
        if self._clock.monotonic() < self._rests_until:
            return None
        reading = asyncio.create_task(self._read(tenant, kind, keys))
        try:
            await asyncio.wait({reading}, timeout=self._bounds.read)
        finally:
            reading.cancel()  # nothing, where it is done
        found = reading.result() if reading.done() else None
        if found is None:
            self._rests_until = self._clock.monotonic() + _REST
        return found

    async def _read(
        self, tenant: TenantId, kind: str, keys: Sequence[str]
    ) -> Sequence[CachedRow] | None:
        try:
            async with self._state.snapshot(tenant) as view:
                return await view.cached.get(kind, keys)
        except ColonnadeError:
            return None
        except Exception as error:  # noqa: BLE001 - a bug is reported, and no request fails by it
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a cache's rows could not be read", "exception": error}
            )
            return None

    async def _write(self, tenant: TenantId, rows: Sequence[CachedRow]) -> None:
        """In order of key: two processes that write the same rows must not wait for each other."""
        try:
            async with asyncio.timeout(_WRITE), self._state.transaction(tenant) as tx:
                for row in sorted(rows, key=lambda row: (row.kind, row.key)):
                    tx.cached.put(row)
        except (ColonnadeError, TimeoutError):
            for row in rows:
                self._observer.cache_dropped(row.kind, 1)
            return
        with suppress(ColonnadeError, TimeoutError):  # the next write, or sweep, does it
            for row in rows:
                await self._count(row)

    async def _count(self, row: CachedRow) -> None:
        """Bound the tenant's rows where this process has written enough since it last did."""
        bounds, place = self._bounds, (row.tenant, row.kind)
        rows, size = self._written.get(place, (0, 0))
        rows, size = rows + 1, size + len(row.body)
        self._written[place] = (rows, size)
        if rows * _SLACK > bounds.most_rows or size * _SLACK > bounds.most_bytes:
            await self._bound(*place)

    async def _bound(self, tenant: TenantId, kind: str) -> None:
        async with asyncio.timeout(_WRITE), self._state.transaction(tenant) as tx:
            tx.cached.bound(kind, self._bounds.most_rows, self._bounds.most_bytes)
        self._written.pop((tenant, kind), None)
