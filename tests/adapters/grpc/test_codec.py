"""The frame that we put around each event ourselves; what is in it, the contract suite tests."""

from __future__ import annotations

import pytest

from adapters.grpc.codec import ProtobufCodec
from colonnade.v1.turns_pb2 import Delta, TurnEvent, TurnEvents
from core.turns.events import Reasoning, Text

CODEC = ProtobufCodec()


@pytest.mark.parametrize("length", [0, 115, 120, 125, 16_370, 16_380, 16_390, 3_000_000])
def test_an_event_of_any_length_is_measured_right(length: int) -> None:
    text = Text("x" * length)
    encoded = CODEC.encode(1, text) + CODEC.encode(2, Text("the next"))
    assert CODEC.decode(encoded) == [(1, text), (2, Text("the next"))]
    assert TurnEvents.FromString(encoded).SerializeToString() == encoded


@pytest.mark.parametrize("sequence", [1, 127, 128, 300, 2**40])
@pytest.mark.parametrize("said", ["", "a", "Grüße, 渡船 🎈", "x" * 300])
def test_what_is_said_is_written_as_protobuf_would(sequence: int, said: str) -> None:
    text = TurnEvent(sequence=sequence, delta=Delta(text=said))
    thought = TurnEvent(sequence=sequence, delta=Delta(reasoning=said))
    assert CODEC.encode(sequence, Text(said)) == TurnEvents(events=[text]).SerializeToString()
    encoded = CODEC.encode(sequence, Reasoning(said))
    assert encoded == TurnEvents(events=[thought]).SerializeToString()
    assert CODEC.decode(encoded) == [(sequence, Reasoning(said))]
