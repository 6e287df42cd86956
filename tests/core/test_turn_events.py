"""Events of a turn: what is put together, and what lets its reader see something of the answer."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import DeploymentName
from core.turns.events import Reasoning, Retracted, Switched, Text, TurnEvent, joined, releases

SAID = (Text, Reasoning)
words = st.text(max_size=3)
events = st.lists(
    st.one_of(
        st.builds(Text, words),
        st.builds(Reasoning, words),
        st.builds(Retracted, words),
        st.just(Switched(DeploymentName("a"), DeploymentName("b"), 1, "gone")),
    )
)


def letters(said: list[TurnEvent]) -> list[object]:
    """What a reader hears, however it is cut: a letter with its kind, or another event."""
    heard: list[object] = []
    for event in said:
        if isinstance(event, SAID):
            heard += [(type(event), letter) for letter in event.text]
        else:
            heard.append(event)
    return heard


@given(events)
def test_a_reader_hears_the_same_in_fewer_pieces(said: list[TurnEvent]) -> None:
    fewer = list(joined(said))
    assert letters(fewer) == letters(said)
    kinds = [type(event) for event in fewer]
    assert not [kind for kind, next in pairwise(kinds) if kind is next and kind in SAID]
    assert set(kinds) == {type(event) for event in said}


def test_what_is_of_the_answer_releases_it() -> None:
    assert releases(Text("a"))
    assert releases(Reasoning("a"))
    assert not releases(Retracted("a"))
