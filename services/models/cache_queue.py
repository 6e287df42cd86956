"""Rows that wait to be written: so many and so many bytes, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.ports.cache_rows import CachedRow

_MOST_WAITING = 1_000
_MOST_WAITING_BYTES = 8 * 1024 * 1024
_LARGEST_BYTES = 1024 * 1024
_AT_ONCE = 100


class CacheQueue:
    """First in, first out. None larger than a megabyte, or than `most_bytes`, is let in."""

    def __init__(self, most_bytes: int) -> None:
        self._largest = min(_LARGEST_BYTES, most_bytes)
        self._rows: dict[tuple[str, str, str], CachedRow] = {}
        self._bytes = 0
        self._news = asyncio.Event()

    def put(self, row: CachedRow) -> bool:
        """Whether there was room for it. An equal key's place is taken over."""
        size, place = len(row.body), (row.tenant, row.kind, row.key)
        old = len(self._rows[place].body) if place in self._rows else 0
        if size > self._largest or self._bytes + size - old > _MOST_WAITING_BYTES:
            return False
        if place not in self._rows and len(self._rows) >= _MOST_WAITING:
            return False
        self._rows[place] = row
        self._bytes += size - old
        self._news.set()
        return True

    def take(self) -> Sequence[CachedRow]:
        """The next rows to be written, which wait no longer; none where none wait."""
        taken = [self._rows.pop(place) for place in list(self._rows)[:_AT_ONCE]]
        self._bytes -= sum(len(row.body) for row in taken)
        return taken

    async def wait(self) -> None:
        """Return once there may be rows."""
        await self._news.wait()
        self._news.clear()
