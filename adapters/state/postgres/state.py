"""The state on PostgreSQL.

state = await open_postgres(PostgresOptions("postgresql://colonnade@db/colonnade"))
async with state.transaction(TenantId("acme")) as tx: ...
await state.close()
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from adapters.state.postgres.clock import ServerClock
from adapters.state.postgres.connecting import connect, conninfo
from adapters.state.postgres.doors import Doors
from adapters.state.postgres.opening import prepare
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.pool import Pool
from adapters.state.postgres.rounds import Rounds
from adapters.state.postgres.transaction import PostgresTransaction
from adapters.state.postgres.units import Block, House
from core.ports.state import Scope


class PostgresState:
    """See core.ports.state.State. Belongs to the event loop that opened it.

    Transactions are READ COMMITTED. They are serial in effect as far as they decide upon rows
    that they lock (turns, a collection, a unit's attempts), upon unique keys, and upon a
    conversation that they read: where that was changed meanwhile, StoreConflict tells. What
    else they read may be older than what they write.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[PostgresTransaction]:
        """See State.transaction. The store is first reached by a read, or at the end."""
        return Block(self._house, scope, writable=True)

    def snapshot(self, scope: Scope) -> AbstractAsyncContextManager[PostgresTransaction]:
        """See State.snapshot. Its moment is that of its first read."""
        return Block(self._house, scope, writable=False)

    async def close(self) -> None:
        """See State.close."""
        await self._house.doors.close()
        await self._house.pool.close()


async def open_postgres(options: PostgresOptions) -> PostgresState:
    """Open the store, made or migrated if need be.

    Raises StoreUnusable, whose message says what to do, and StoreUnavailable.
    """
    target = conninfo(options.url)
    await asyncio.to_thread(prepare, target, options.acquire_timeout)
    clock = ServerClock(options.now)
    pool = Pool(lambda: connect(options, target), options)
    return PostgresState(
        House(pool, Rounds(pool, clock, options.queue_limit), clock, Doors(), options)
    )
