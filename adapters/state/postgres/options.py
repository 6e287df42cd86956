"""How a PostgreSQL store is reached and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from core.identifiers import Seconds


class Durability(Enum):
    """What a committed transaction withstands; the value is PostgreSQL's `synchronous_commit`.

    Whether a failover loses what was committed is the server's to say: with a synchronous
    standby POWER waits for it too, without one the standby may lack the last transactions.
    """

    PROCESS = "off"  # the death of this process; the server's own loses the last half second
    POWER = "on"  # that of the server's machine too: every commit waits for the disk


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """Settings of one store. Only the environment should hold a `url` that has a password.

    At most `connections` are open, and those unused for `idle_timeout` are closed. `queue_limit`
    bounds how many transactions may wait for one, `acquire_timeout` how long, which is also how
    long a restart of the server may take without anybody noticing. `statement_timeout` bounds
    each statement, at the server and here; `transaction_timeout` how long a transaction may be
    idle before the server gives up what it holds. `now` replaces the store's clock, for tests.
    """

    url: str = field(repr=False)
    durability: Durability = Durability.POWER
    connections: int = 10
    queue_limit: int = 4096
    acquire_timeout: Seconds = Seconds(5.0)
    statement_timeout: Seconds = Seconds(2.0)
    transaction_timeout: Seconds = Seconds(5.0)
    idle_timeout: Seconds = Seconds(60.0)
    now: Callable[[], datetime] | None = None
