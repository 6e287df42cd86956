"""Turn events to the contract's bytes and back: serialised once, for log and wire."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.grpc.event_messages import event_message
from adapters.grpc.logged_events import event_from
from colonnade.v1 import turns_pb2
from core.turns.events import TurnEvent

_ELEMENT = 0x0A
"""The tag of field 1, length-delimited: what an element of `TurnEvents.events` begins with."""


class ProtobufCodec:
    """Each event as an element of `TurnEvents.events`: elements put together are a message."""

    def encode(self, sequence: int, event: TurnEvent) -> bytes:
        """One event with its number."""
        message = event_message(event)
        message.sequence = sequence
        body = message.SerializeToString()
        return bytes((_ELEMENT,)) + _varint(len(body)) + body

    def decode(self, encoded: bytes) -> Sequence[tuple[int, TurnEvent]]:
        """The events in these bytes; kinds that this program doesn't know are left out."""
        decoded: list[tuple[int, TurnEvent]] = []
        for message in turns_pb2.TurnEvents.FromString(encoded).events:
            event = event_from(message)
            if event is not None:
                decoded.append((message.sequence, event))
        return decoded


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
