"""What the turn log relies on: events put one after another are a message of a stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from colonnade.v1 import turns_pb2 as turns


def event(sequence: int, text: str) -> turns.TurnEvent:
    return turns.TurnEvent(sequence=sequence, delta=turns.Delta(text=text))


@given(st.lists(st.text(), min_size=1, max_size=20))
def test_serialised_elements_concatenated_are_a_valid_message(texts: list[str]) -> None:
    events = [event(number, text) for number, text in enumerate(texts, start=1)]
    elements = [turns.TurnEvents(events=[one]).SerializeToString() for one in events]

    assert turns.TurnEvents.FromString(b"".join(elements)) == turns.TurnEvents(events=events)


def test_nothing_else_is_in_a_stream_message() -> None:
    assert [(f.name, f.number) for f in turns.TurnEvents.DESCRIPTOR.fields] == [("events", 1)]
