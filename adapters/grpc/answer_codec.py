"""Answers as bytes that are kept: the events of a generation, as they travel between processes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import get_args

from google.protobuf.message import DecodeError

from adapters.grpc.gateway_events import Wire, event_from, event_message
from core.ports.answer_codec import Answer
from core.ports.model_gateway import Completed, GatewayEvent, Said

_FORMAT = b"\x01"
"""The first byte. A change that an older program would read wrongly takes the next number."""
_LENGTH = struct.Struct("<I")
_SAID = get_args(Said)


class ProtobufAnswers:
    """It is an AnswerCodec. After the format each event follows its length in four bytes."""

    def encode(self, answer: Answer) -> bytes:
        """See AnswerCodec."""
        said, end = answer
        events: list[GatewayEvent] = [*said, end]
        parts = [_FORMAT]
        for event in events:
            message = event_message(event).SerializeToString()
            parts += (_LENGTH.pack(len(message)), message)
        return b"".join(parts)

    def decode(self, encoded: bytes) -> Answer | None:
        """See AnswerCodec."""
        if encoded[:1] != _FORMAT:
            return None
        try:
            events = list(_events(encoded))
        except (DecodeError, struct.error, ValueError, ArithmeticError):
            return None
        said = [event for event in events[:-1] if isinstance(event, _SAID)]
        end = events[-1] if events else None
        if not isinstance(end, Completed) or len(said) < len(events) - 1:
            return None
        return said, end


def _events(encoded: bytes) -> Iterator[GatewayEvent | None]:
    place = len(_FORMAT)
    while place < len(encoded):
        (length,) = _LENGTH.unpack_from(encoded, place)
        place += _LENGTH.size
        if place + length > len(encoded):
            raise ValueError("cut")
        yield event_from(Wire.FromString(encoded[place : place + length]))
        place += length
