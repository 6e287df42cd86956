"""Suites as they lie in folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from evals.cases import Case, SuiteError
from evals.loading import documents_in, load_suite

Lines = list[Mapping[str, object]]


def write(file: Path, lines: Lines) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(
        tmp_path / "corpus.jsonl",
        [
            {"_id": "p0", "title": "Rivers", "text": "The Rhine ends in the North Sea."},
            {"_id": "p1", "text": "莱茵河很长。"},
        ],
    )
    return tmp_path


def test_the_beir_layout(folder: Path) -> None:
    write(folder / "queries.jsonl", [{"_id": "q1", "text": "Where?"}, {"_id": "q2", "text": "?"}])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tp0\t2\nq1\tp1\t0\n")
    suite = load_suite(folder)
    assert suite.name == folder.name
    assert [case.id for case in suite.cases] == ["q1", "q2"]
    assert suite.relevance == {"q1": {"p0": 2}}
    assert not suite.has_answers
    first, second = suite.documents
    assert (first.uri, first.title, first.content_type) == ("p0", "Rivers", "text/plain")
    assert second.content.decode() == "莱茵河很长。"


def test_beir_with_its_judgements_in_a_folder_and_with_answers(folder: Path) -> None:
    write(folder / "queries.jsonl", [{"_id": "q1", "text": "Where?", "answers": ["North Sea"]}])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("q1\t0\tp0\t1\n")
    suite = load_suite(folder)
    assert suite.cases == (Case("q1", "Where?", True, ("North Sea",), ("p0",)),)
    assert suite.has_answers


def test_questions_about_a_passage_each(folder: Path) -> None:
    write(
        folder / "questions.jsonl",
        [
            {"_id": "a", "text": "Where?", "passage": "p0", "answerable": True, "answers": ["x"]},
            {"_id": "b", "text": "How deep?", "passage": "p0", "answerable": False, "answers": []},
        ],
    )
    suite = load_suite(folder)
    assert [case.answerable for case in suite.cases] == [True, False]
    assert suite.relevance == {"a": {"p0": 1}}


def test_our_own_cases_with_documents_from_files(folder: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "guide").mkdir(parents=True)
    (docs / "guide" / "ports.md").write_text("# Ports")
    (docs / "logo.png").write_bytes(b"\x89PNG")
    cases = tmp_path / "mine"
    cases.mkdir()
    write(
        cases / "cases.jsonl",
        [
            {
                "id": "1",
                "question": "端口？",
                "answers": ["50051"],
                "documents": ["guide/ports.md"],
                "language": "zh",
                "paraphrased": True,
                "held_out": True,
            },
            {"id": "2", "question": "Who?", "answerable": False},
        ],
    )
    suite = load_suite(cases, documents=docs)
    assert [document.uri for document in suite.documents] == ["guide/ports.md"]
    assert suite.cases[0].held_out
    assert suite.cases[0].language == "zh"
    assert suite.relevance == {"1": {"guide/ports.md": 1}}
    assert load_suite(cases / "cases.jsonl").documents == ()
    assert load_suite(cases / "cases.jsonl").name == "mine"
    assert [document.content for document in documents_in(docs)] == [b"# Ports"]


CASE = '{"id": "1", "question": "q"}\n'
QUERY = '{"_id": "1", "text": "q"}\n'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds neither"),
        ({"cases.jsonl": ""}, "no cases"),
        ({"cases.jsonl": "{}\nx"}, "cases.jsonl:1: id"),
        ({"cases.jsonl": "[1]"}, "wants an object"),
        ({"cases.jsonl": CASE + "nope"}, "cases.jsonl:2: is no JSON"),
        ({"cases.jsonl": CASE * 2}, "'1' comes twice"),
        (
            {"cases.jsonl": '{"id": "1", "question": "q", "answerable": false, "answers": ["x"]}'},
            "not answerable, and has answers",
        ),
        ({"queries.jsonl": QUERY}, "no qrels.tsv"),
        ({"queries.jsonl": QUERY, "qrels.tsv": "a\tb\tc\n1 p0 1\n"}, "qrels.tsv:2: wants"),
        ({"cases.jsonl": CASE, "corpus.jsonl": '{"id": "p"}'}, "corpus.jsonl:1: wants `_id`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, files: Mapping[str, str], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(SuiteError, match=message):
        load_suite(tmp_path)


@pytest.mark.parametrize(
    ("name", "cases", "documents", "judged"),
    [
        ("squad2-rhine", 498, 44, 290),
        ("cmrc2018-dev", 3219, 848, 3219),
        ("cranfield", 225, 1400, 225),
    ],
)
def test_known_sets_are_read_whole(
    data_set: Callable[[str], Path], name: str, cases: int, documents: int, judged: int
) -> None:
    suite = load_suite(data_set(name))
    assert (len(suite.cases), len(suite.documents)) == (cases, documents)
    assert len(suite.relevance) == judged
