from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.thoughts import TAGS, ThoughtSplitter
from core.generation import ReasoningDelta, TextDelta


def split(*pieces: str, opened: bool = False) -> tuple[str, str]:
    """The thoughts and the answer in text that comes in these pieces."""
    splitter = ThoughtSplitter(opened=opened)
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.end()
    assert all(event.text for event in events)
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thoughts, "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("Plain.", "", "Plain."),
        ("  Indented.", "", "  Indented."),
        ("", "", ""),
        ("<", "", "<"),
        ("<thin", "", "<thin"),
        ("<thinly sliced", "", "<thinly sliced"),
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("\n<think>\nHm.\n</think>\n\nYes. ", "Hm.", "Yes. "),
        ("<think></think>Yes.", "", "Yes."),
        ("<think>Hm.", "Hm.", ""),
        ("<think>a < b </thin", "a < b </thin", ""),
        ("<think>Hm.</think>", "Hm.", ""),
        ("<think>One.</think>\n<think>Two.</think>Yes.", "One.Two.", "Yes."),
        ("Write <think> to think.", "", "Write <think> to think."),
        ("<think>Hm.</think>Yes.<think>no</think>", "Hm.", "Yes.<think>no</think>"),
        ("[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        ("<seed:think>Hm.</seed:think>Yes.", "Hm.", "Yes."),
        ("<think>no end of another</thinking>", "no end of another</thinking>", ""),
    ],
)
def test_thoughts_are_told_apart(text: str, thoughts: str, answer: str) -> None:
    assert split(text) == (thoughts, answer)
    assert split(*text) == (thoughts, answer)


@pytest.mark.parametrize("text", ["Hm.</think>Yes.", "\nHm.\n</think>\n\nYes."])
def test_a_template_may_have_opened_them(text: str) -> None:
    assert split(*text, opened=True) == (text.partition("</think>")[0].rstrip(), "Yes.")


@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_every_spelling(opening: str, closing: str) -> None:
    assert split(*f"{opening}Hm.{closing}Yes.") == ("Hm.", "Yes.")


TEXT = st.text("ab <>/\n", max_size=12) | st.sampled_from(["<think>", "</think>", "<thinking>"])


@given(st.lists(TEXT, max_size=8), st.data())
def test_any_split_gives_the_same(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert split(*pieces) == split(text)


@given(TEXT.filter(lambda text: not text.lstrip().startswith("<th")))
def test_what_is_no_thought_is_untouched(text: str) -> None:
    assert split(*text) == ("", text)
