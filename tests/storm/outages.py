"""What befalls the servers that the processes share: the store is away, or either is restarted."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from storm.options import StormOptions
from storm.stores import Stores


class Outages:
    """At even distances through the storm."""

    def __init__(self, options: StormOptions, stores: Stores) -> None:
        self._options = options
        self._stores = stores
        self.store_restarts = self.bus_restarts = 0

    async def run(self) -> None:
        """All of them, each in its time."""
        await asyncio.gather(self._away(), self._restart_store(), self._restart_bus())

    async def _away(self) -> None:
        """Another process holds the store's lock."""
        if not self._options.away_for:
            return
        await asyncio.sleep((self._options.seconds - self._options.away_for) / 2)
        with closing(sqlite3.connect(self._stores.sqlite, isolation_level=None)) as other:
            await _lock(other)
            await asyncio.sleep(self._options.away_for)

    async def _restart_store(self) -> None:
        for _ in range(self._options.restart_store):
            await asyncio.sleep(self._options.seconds / (self._options.restart_store + 1))
            await self._stores.restart_postgres()
            self.store_restarts += 1

    async def _restart_bus(self) -> None:
        for _ in range(self._options.restart_bus):
            await asyncio.sleep(self._options.seconds / (self._options.restart_bus + 1))
            await self._stores.restart_nats()
            self.bus_restarts += 1


async def _lock(other: sqlite3.Connection) -> None:
    while True:
        try:
            other.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            await asyncio.sleep(0.001)
        else:
            return
