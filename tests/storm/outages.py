"""What befalls the servers that the processes share: each is restarted now and then."""

from __future__ import annotations

import asyncio

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
        await asyncio.gather(self._restart_store(), self._restart_bus())

    async def _restart_store(self) -> None:
        for number in range(self._options.restart_store):
            await asyncio.sleep(self._options.seconds / (self._options.restart_store + 1))
            await self._stores.restart_postgres(crash=number % 2 == 1)
            self.store_restarts += 1

    async def _restart_bus(self) -> None:
        for _ in range(self._options.restart_bus):
            await asyncio.sleep(self._options.seconds / (self._options.restart_bus + 1))
            await self._stores.restart_nats()
            self.bus_restarts += 1
