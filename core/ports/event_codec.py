"""How a turn's events become the bytes that the log stores and the transport sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.turns.events import TurnEvent


class EventCodec(Protocol):
    """Encodes once, for log and wire. Encoded events put one after another are a valid stream.

    Pure and quick: it is called on the event loop for every event.
    """

    def encode(self, sequence: int, event: TurnEvent) -> bytes:
        """One event with its number."""

    def decode(self, encoded: bytes) -> Sequence[tuple[int, TurnEvent]]:
        """The events in these bytes, in order; unknown kinds of a newer program are left out."""
