"""Where sentences begin and end, whole and streamed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text.sentences import (
    Sentence,
    SentenceKind,
    SentenceStream,
    feed_sentences,
    finish_sentences,
    sentences,
)


def texts(source: str) -> list[str]:
    return [sentence.text for sentence in sentences(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("One is here. Two is there.", ["One is here.", "Two is there."]),
        ("No full stop at the end", ["No full stop at the end"]),
        ("Dr. Ames met J. R. Hill. They spoke.", ["Dr. Ames met J. R. Hill.", "They spoke."]),
        ("It costs 3.14 EUR. Not more.", ["It costs 3.14 EUR.", "Not more."]),
        ("See https://a.example/x.y?z=1. Then go.", ["See https://a.example/x.y?z=1.", "Then go."]),
        ("It waits... and goes on. Then stops.", ["It waits... and goes on.", "Then stops."]),
        (
            "He wrote it in the U.S. The rest is lost.",
            ["He wrote it in the U.S.", "The rest is lost."],
        ),
        ("The U.S. Navy came. It left.", ["The U.S. Navy came.", "It left."]),
        ("Use a tool, e.g. Make. It works.", ["Use a tool, e.g. Make.", "It works."]),
        ("See No. 5 for it. No. That is wrong.", ["See No. 5 for it.", "No.", "That is wrong."]),
        ('"Is it?" he asked. "Yes!" She left.', ['"Is it?" he asked.', '"Yes!"', "She left."]),
        ("It rose.[note 3] It fell.", ["It rose.[note 3]", "It fell."]),
        ("It rose (a lot.) It fell.", ["It rose (a lot.)", "It fell."]),
        ("今天下雨。明天晴！后天呢？", ["今天下雨。", "明天晴！", "后天呢？"]),
        ("先停服务；再备份。", ["先停服务；", "再备份。"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ("版本3.14已发布。请升级。", ["版本3.14已发布。", "请升级。"]),
        ("", []),
        (" \n \n", []),
        ("...", []),
    ],
)
def test_prose(source: str, expected: list[str]) -> None:
    assert texts(source) == expected


def test_a_wrapped_paragraph_is_not_cut_at_its_line_ends() -> None:
    source = "The river that runs through the whole of the town\nis long. It is cold."
    assert texts(source) == [
        "The river that runs through the whole of the town\nis long.",
        "It is cold.",
    ]


def test_a_short_line_without_a_full_stop_stands_for_itself() -> None:
    assert texts("Disk full\nThe disk has no room.") == ["Disk full", "The disk has no room."]


def test_a_blank_line_ends_a_sentence() -> None:
    assert texts("a line without end\n\nand another") == ["a line without end", "and another"]


def test_markdown_marks_are_outside_and_kinds_are_known() -> None:
    source = (
        "## Disk full\n\nDo this:\n\n- Stop it. Wait.\n2. Start it\n> Quoted words\n"
        "| a | b |\n|---|---|\n```sh\nrm -f x. y\n\nls\n```\nDone."
    )
    found = [(sentence.text, sentence.kind) for sentence in sentences(source)]
    assert found == [
        ("Disk full", SentenceKind.HEADING),
        ("Do this:", SentenceKind.PROSE),
        ("Stop it.", SentenceKind.LIST_ITEM),
        ("Wait.", SentenceKind.PROSE),
        ("Start it", SentenceKind.LIST_ITEM),
        ("Quoted words", SentenceKind.LIST_ITEM),
        ("| a | b |", SentenceKind.TABLE_ROW),
        ("rm -f x. y", SentenceKind.CODE),
        ("ls", SentenceKind.CODE),
        ("Done.", SentenceKind.PROSE),
    ]


def test_a_stream_gives_a_sentence_once_the_next_has_begun() -> None:
    state, first = feed_sentences(SentenceStream(), "It is done. ")
    assert first == ()
    state, second = feed_sentences(state, "Another one ")
    assert [sentence.text for sentence in second] == ["It is done."]
    assert [sentence.text for sentence in finish_sentences(state)] == ["Another one"]


AWKWARD = st.text(alphabet='aB1.。!？ \n-#`|>[]"…；很e:', max_size=80)
WORDS = [
    "The",
    "dog",
    "ran.",
    "Dr.",
    "U.S.",
    "3.5",
    "e.g.",
    "etc.",
    "no.",
    "Why?",
    "它很长。",
    "好！",
]
MARKS = ["[note 1]", "\n", "\n\n", "- ", "1. ", "```\n", "# ", "| x |\n", " "]
WORDY = st.lists(st.sampled_from(WORDS + MARKS), max_size=25).map(" ".join)


def streamed(source: str, cuts: list[int]) -> tuple[Sentence, ...]:
    state = SentenceStream()
    found: tuple[Sentence, ...] = ()
    edges = [0, *sorted(cut % (len(source) + 1) for cut in cuts), len(source)]
    for begin, end in pairwise(edges):
        state, more = feed_sentences(state, source[begin:end])
        found += more
    return found + finish_sentences(state)


@settings(max_examples=300)
@given(AWKWARD | WORDY, st.lists(st.integers(0, 500), max_size=12))
def test_a_stream_is_cut_as_the_whole_text_is(source: str, cuts: list[int]) -> None:
    assert streamed(source, cuts) == sentences(source)


@settings(max_examples=200)
@given(AWKWARD | WORDY)
def test_offsets_are_exact_ordered_and_lose_no_word(source: str) -> None:
    at = 0
    for sentence in sentences(source):
        assert sentence.start >= at
        assert source[sentence.start : sentence.end] == sentence.text
        at = sentence.end
    assert streamed(source, list(range(len(source)))) == sentences(source)
