"""The frame that we put around each event ourselves; what is in it, the contract suite tests."""

from __future__ import annotations

import pytest

from adapters.grpc.codec import ProtobufCodec
from colonnade.v1.turns_pb2 import TurnEvents
from core.turns.events import Text

CODEC = ProtobufCodec()


@pytest.mark.parametrize("length", [0, 115, 120, 125, 16_370, 16_380, 16_390, 3_000_000])
def test_an_event_of_any_length_is_measured_right(length: int) -> None:
    text = Text("x" * length)
    encoded = CODEC.encode(1, text) + CODEC.encode(2, Text("the next"))
    assert CODEC.decode(encoded) == [(1, text), (2, Text("the next"))]
    assert TurnEvents.FromString(encoded).SerializeToString() == encoded
