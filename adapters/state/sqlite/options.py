"""How a SQLite store is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from core.identifiers import Seconds


class Durability(Enum):
    """What a committed transaction withstands; the value is SQLite's `synchronous`."""

    PROCESS = "NORMAL"  # the death of the process
    POWER = "FULL"  # that of the machine too: every commit waits for the disk


def system_time() -> datetime:
    """The process's wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Settings of one store.

    `statement_timeout` bounds every wait for the store, in its queue too; `transaction_timeout`
    a whole transaction or snapshot. `queue_limit` bounds how many may wait. A group of
    transactions is committed when nobody waits, or at `group_size`, or `group_time` after it
    began. `checkpoint_interval` lies between two checkpoints under load.
    """

    path: Path
    durability: Durability = Durability.PROCESS
    readers: int = 3
    statement_timeout: Seconds = Seconds(2.0)
    transaction_timeout: Seconds = Seconds(5.0)
    queue_limit: int = 4096
    group_size: int = 64
    group_time: Seconds = Seconds(0.005)
    checkpoint_interval: Seconds = Seconds(0.25)
    now: Callable[[], datetime] = system_time
