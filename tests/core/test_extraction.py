"""The extractive answer: what is quoted, what is refused, and how well on our own cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalog import Tier
from core.chat import Grounding
from core.grounding.answers import answer_fit
from core.grounding.extraction import (
    Extraction,
    ExtractionPolicy,
    choose,
    extract,
    rank,
    shares,
)
from core.grounding.questions import AnswerKind, analyse
from core.grounding.spoken import spoken
from core.grounding.stream import Failure, Guarded, Release, begin, feed, finish, verdict
from core.grounding.verdict import AnsweredBy, VerdictStatus
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage

CASES = Path(__file__).parent / "cases"
ANSWER = ExtractionPolicy(refuse_below=-100.0)


def passage(
    text: str, title: str = "", score: float = 1.0, heading: tuple[str, ...] = ()
) -> Passage:
    chunk = Chunk(ChunkId(text[:20]), DocumentId("d"), 0, text, 0, len(text), heading)
    return Passage(chunk, CollectionName("c"), title, "file:x", score)


BRIDGE = passage(
    "The Orla bridge was opened in 1904. It is 310 m long and rests on two piers. "
    "It was designed by the engineer Ada Finch because the old ferry was too slow.",
    "Orla bridge",
)
FERRY = passage(
    "Ferries crossed the Orla twice a day. The last one sank in 1931 near Ness.", "Ferry"
)


def texts(extraction: Extraction) -> list[str]:
    return [quotation.text for quotation in extraction.quotations]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When did it open?", AnswerKind.TIME),
        ("In which year did it open?", AnswerKind.TIME),
        ("What do ships do when it opens?", AnswerKind.OTHER),
        ("How many piers has it?", AnswerKind.QUANTITY),
        ("At what temperature does it melt?", AnswerKind.QUANTITY),
        ("Who built it?", AnswerKind.PERSON),
        ("Where is it?", AnswerKind.PLACE),
        ("Why was it built?", AnswerKind.REASON),
        ("How do I open it?", AnswerKind.OTHER),
        ("它是哪一年建成的？", AnswerKind.TIME),
        ("谁设计了它？", AnswerKind.PERSON),
        ("它在什么地方？", AnswerKind.PLACE),
        ("为什么要建它？", AnswerKind.REASON),
        ("它有多长？", AnswerKind.QUANTITY),
    ],
)
def test_the_kind_of_answer_that_is_asked_for(question: str, kind: AnswerKind) -> None:
    assert analyse(question).kind is kind


@pytest.mark.parametrize(
    ("question", "better", "worse"),
    [
        ("When was it opened?", "It was opened in 1904.", "It was opened by the queen."),
        ("Who founded the Guild?", "Ada Finch founded it.", "The Guild was founded in Ness."),
        ("How many cars had it?", "It had eleven cars.", "In 1904 it had cars."),
        ("How much did it cost?", "It cost 40 dollars.", "It was 40 m long."),
        ("How long do they live?", "They live for 12 years.", "They are 12 m long."),
        ("Where did it sink?", "It sank near Ness.", "It sank quickly."),
        ("Why did it sink?", "It sank because of ice.", "It sank near Ness."),
    ],
)
def test_a_sentence_with_an_answer_of_the_kind_fits_better(
    question: str, better: str, worse: str
) -> None:
    asked = analyse(question)
    assert answer_fit(asked, better) > answer_fit(asked, worse)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the bridge opened?", "1904"),
        ("How long is the Orla bridge?", "310 m"),
        ("Who designed the bridge?", "Ada Finch"),
        ("Where did the last ferry sink?", "Ness"),
    ],
)
def test_the_sentence_that_answers_is_quoted(question: str, answer: str) -> None:
    extraction = extract(question, [BRIDGE, FERRY], ExtractionPolicy(max_sentences=2))
    assert any(answer in text for text in texts(extraction))


def test_a_sentence_that_leans_on_its_predecessor_brings_it_along() -> None:
    extraction = extract("How long is the bridge and how many piers?", [BRIDGE], ANSWER)
    assert texts(extraction)[:2] == [
        "The Orla bridge was opened in 1904.",
        "It is 310 m long and rests on two piers.",
    ]
    assert extraction.quotations[1].follows


def test_a_lead_in_brings_its_list_along() -> None:
    steps = passage(
        "Intro.\n\nTo empty the queue do this:\n\n- Stop the worker.\n- Run `drain`\n\nLater text.",
        "Queue",
    )
    extraction = extract("How do I empty the queue?", [steps], ANSWER)
    assert "".join(spoken(extraction.quotations)).startswith(
        "To empty the queue do this: [1]\n- Stop the worker. [1]\n- Run `drain` [1]"
    )


def test_what_two_documents_say_alike_is_said_once() -> None:
    twice = [
        passage("The bridge was opened in 1904."),
        passage("The bridge was opened in 1904.", "B"),
    ]
    assert texts(extract("When was the bridge opened?", twice, ANSWER)) == [
        "The bridge was opened in 1904."
    ]


@pytest.mark.parametrize(
    "question",
    ["Who won the football cup in Brazil?", "How do I bake bread?", "巴西的首都是哪里？"],
)
def test_a_question_about_something_else_is_refused(question: str) -> None:
    assert extract(question, [BRIDGE, FERRY]).refused


def test_nothing_to_quote_is_a_refusal() -> None:
    assert extract("When?", []).refused
    assert extract("When?", [passage("")]).refused
    assert extract("", [BRIDGE]).refused


def test_headings_count_as_context_and_are_never_quoted() -> None:
    text = "## Certificates\n\nThey are read again every ten minutes."
    extraction = extract("How often are certificates read again?", [passage(text)], ANSWER)
    assert texts(extraction) == ["They are read again every ten minutes."]
    headed = passage("It is read again every ten minutes.", heading=("Certificates",))
    other = passage("It is written again every two minutes.", heading=("Logs",))
    best = rank("How often are certificates looked at?", [other, headed]).scored[0]
    assert best.candidate.number == 2


def read(name: str) -> list[dict[str, object]]:
    lines = (CASES / name).read_text(encoding="utf-8").strip().split("\n")
    return [json.loads(line) for line in lines]


def test_by_words_alone_most_of_our_cases_are_answered() -> None:
    """A floor that tells when something breaks; benchmarks/extraction.py has the figures."""
    corpus = {
        str(row["_id"]): passage(str(row["text"]), str(row["title"]))
        for row in read("extraction_corpus.jsonl")
    }
    right = total = 0
    for row in read("extraction_questions.jsonl"):
        if row["answerable"]:
            found = rank(str(row["text"]), [corpus[str(row["passage"])]]).scored[0]
            answers = row["answers"]
            assert isinstance(answers, list)
            right += any(answer in found.candidate.sentence.text for answer in answers)
            total += 1
    assert total > 300
    assert right / total > 0.8


WORDS = [
    "Orla",
    "bridge",
    "opened",
    "in",
    "1904",
    "It",
    "is",
    "310",
    "m",
    "long",
    "e.g.",
    "Dr.",
    "[1]",
]
MARKS = [
    ". ",
    "! ",
    "\n",
    "\n\n",
    "\n- ",
    "\n# ",
    "`",
    "```\n",
    "。",
    "| a |\n",
    "**",
    "…",
    ": ",
    '"',
    "J.",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(WORDS + MARKS), min_size=1, max_size=30).map(" ".join),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["When was the Orla bridge opened?", "How long is it?", "它多长？", ""]),
)
def test_whatever_is_quoted_passes_the_checks_word_for_word_and_cited(
    bodies: list[str], question: str
) -> None:
    passages = [passage(body) for body in bodies]
    extraction = extract(question, passages, ANSWER)
    state = begin(passages, Tier.EXTRACTIVE, Grounding.SENTENCE)
    out: list[Guarded] = []
    for piece in spoken(extraction.quotations):
        state, more = feed(state, piece)
        out += more
    state, more = finish(state)
    out += more
    if extraction.refused:
        return
    assert not any(isinstance(item, Failure) for item in out), out
    assert verdict(state).answered_by is AnsweredBy.EXTRACTION
    assert verdict(state).status in (VerdictStatus.PASS, VerdictStatus.REPAIRED)
    cited = [c for item in out if isinstance(item, Release) for c in item.citations]
    assert cited
    assert all(c.quote and c.quote in c_text for c in cited for c_text in [bodies[c.number - 1]])


@given(st.text(max_size=200), st.text(max_size=100))
def test_any_text_can_be_asked_and_searched(body: str, question: str) -> None:
    ranking = rank(question, [passage(body)])
    assert choose(ranking, ANSWER) == choose(ranking, ANSWER)
    assert abs(sum(shares(ranking)) - 1) < 1e-9 or not ranking.scored
