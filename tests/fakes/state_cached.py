"""What may be given again, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.ports.cache_rows import CachedRow
from fakes.state_tables import Tables, View, admits, must_admit, tenant_of


class FakeCacheRows:
    """See core.ports.cache_rows.CacheRows."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def get(self, kind: str, keys: Sequence[str]) -> Sequence[CachedRow]:
        tenant = tenant_of(self._view.scope)
        rows = (await self._view.read()).cached
        return [rows[place] for key in set(keys) if (place := (tenant, kind, key)) in rows]

    def put(self, row: CachedRow) -> None:
        must_admit(self._view.scope, row.tenant)
        place = (row.tenant, row.kind, row.key)
        self._view.write("cached", lambda tables: tables.cached.__setitem__(place, row))

    def bound(self, kind: str, most_rows: int, most_bytes: int) -> None:
        tenant = tenant_of(self._view.scope)

        def change(tables: Tables) -> None:
            mine = [
                row for row in tables.cached.values() if (row.tenant, row.kind) == (tenant, kind)
            ]
            mine.sort(key=lambda row: row.key)
            mine.sort(key=lambda row: row.made_at, reverse=True)
            total = 0
            for place, row in enumerate(mine, 1):
                total += len(row.body)
                if place > most_rows or total > most_bytes:
                    del tables.cached[(row.tenant, row.kind, row.key)]

        self._view.write("cached", change)

    async def sweep(self, now: datetime, limit: int) -> int:
        done: list[int] = []

        def change(tables: Tables) -> None:
            old = [
                (row.expires_at, place)
                for place, row in tables.cached.items()
                if row.expires_at <= now and admits(self._view.scope, row.tenant)
            ]
            for _, place in sorted(old)[:limit]:
                del tables.cached[place]
            done.append(min(len(old), limit))

        self._view.write("cached", change)
        await self._view.read()
        return done[-1]
