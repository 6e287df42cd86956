"""Notices between replicas: never the record, only a hint to look at it now.

A notice that is lost costs whoever waits for it one poll of the store, never an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from core.identifiers import BootId, TenantId, TurnId


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn has new events or a new state. For those who read it on other replicas."""

    tenant: TenantId
    turn: TurnId


@dataclass(frozen=True, slots=True)
class OwnerWanted:
    """The row of a turn that this replica runs was changed by another: a cancel, a reader."""

    owner: BootId
    tenant: TenantId
    turn: TurnId


class Everyone(Enum):
    """What concerns every replica."""

    RELOAD = "reload"
    """The configuration has changed."""
    BUDGETS = "budgets"
    """A budget runs short, or an alert was given: give back what is not used."""


Notice = TurnChanged | OwnerWanted | Everyone
Topic = TurnChanged | BootId | Everyone
"""What can be listened to: one turn, everything for one replica, or what concerns all."""

Leave = Callable[[], None]
"""Ends a subscription; idempotent, and nothing is heard after it."""


class Bus(Protocol):
    """Publish and subscribe, at most once, in no order. All calls are made on the loop's thread."""

    def publish(self, notice: Notice) -> None:
        """Tell every replica that listens, this one too, if it can be told.

        Returns at once and never raises. What does not fit into a bounded queue, or cannot be
        sent since the bus is away, is dropped and counted.
        """

    def subscribe(self, topic: Topic, heard: Callable[[Notice], None]) -> Leave:
        """Call `heard`, on the loop, for each notice on the topic, until left.

        A subscription outlives an outage of the bus. After one, `heard` is called once with the
        notice of a `TurnChanged` or `Everyone` topic, since something may have been missed.
        """

    async def close(self) -> None:
        """Send what is queued, within a second, then let go. Idempotent."""
