"""Turn events to the contract's bytes and back: serialised once, for log and wire."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.grpc.event_messages import WRITERS
from adapters.grpc.logged_events import event_from
from colonnade.v1 import turns_pb2
from core.turns.events import Reasoning, Text, TurnEvent

_EVENT, _SEQUENCE, _DELTA, _TEXT, _REASONING = 0x0A, 0x08, 0x22, 0x0A, 0x12
"""Tags: of an element of `TurnEvents.events`, of two fields of an event, and of a delta's two."""


class ProtobufCodec:
    """Each event as an element of `TurnEvents.events`: elements put together are a message."""

    def encode(self, sequence: int, event: TurnEvent) -> bytes:
        """One event with its number."""
        if type(event) is Text or type(event) is Reasoning:  # nearly all events are
            text, tag = event.text.encode(), _TEXT if type(event) is Text else _REASONING
            size = len(text)
            if size <= _SMALL and sequence < _ONE_BYTE:
                head = (_EVENT, size + 6, _SEQUENCE, sequence, _DELTA, size + 2, tag, size)
                return bytes(head) + text
            return _said(sequence, tag, text)
        element = turns_pb2.TurnEvents()
        message = element.events.add()
        message.sequence = sequence
        WRITERS[type(event)](event, message)
        return element.SerializeToString()

    def decode(self, encoded: bytes) -> Sequence[tuple[int, TurnEvent]]:
        """The events in these bytes; kinds that this program doesn't know are left out."""
        decoded: list[tuple[int, TurnEvent]] = []
        for message in turns_pb2.TurnEvents.FromString(encoded).events:
            event = event_from(message)
            if event is not None:
                decoded.append((message.sequence, event))
        return decoded


def _said(sequence: int, tag: int, text: bytes) -> bytes:
    """The bytes of a delta, as protobuf would make them, in a fifth of the time."""
    delta = bytes((tag, *_varint(len(text)))) + text
    numbered = bytes((_SEQUENCE, *_varint(sequence), _DELTA, *_varint(len(delta))))
    return bytes((_EVENT, *_varint(len(numbered) + len(delta)))) + numbered + delta


_ONE_BYTE, _TWO_BYTES = 0x80, 0x4000
"""Below them, a number takes as many."""
_SMALL = _ONE_BYTE - 1 - 6
"""The longest text with which a whole event is short enough for that."""


def _varint(value: int) -> tuple[int, ...]:
    """A number's bytes: seven bits each, the lowest first, and the eighth in all but the last."""
    if value < _ONE_BYTE:
        return (value,)
    if value < _TWO_BYTES:
        return value & 0x7F | 0x80, value >> 7
    return value & 0x7F | 0x80, *_varint(value >> 7)
