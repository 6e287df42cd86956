"""Suites from folders, in the layouts that they come in."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evals.cases import Case, Suite, SuiteError
from evals.system import SuiteDocument

_CASE = TypeAdapter(Case)
_CORPUS, _CASES, _QUERIES, _QUESTIONS = (
    "corpus.jsonl",
    "cases.jsonl",
    "queries.jsonl",
    "questions.jsonl",
)
_JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv")
_READABLE = frozenset({".md", ".markdown", ".html", ".htm", ".txt", ".rst", ".pdf"})

Record = Mapping[str, object]


def load_suite(path: Path, *, documents: Path | None = None) -> Suite:
    """The suite in a folder, or in one file of cases.

    A folder holds `cases.jsonl`; or `queries.jsonl` and `qrels.tsv` (BEIR); or `questions.jsonl`
    whose lines name their `passage`. `corpus.jsonl` beside it holds the documents; else they are
    the files in `documents`; else the system has them already. Raises SuiteError.
    """
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    cases, relevance = _cases(path)
    if not cases:
        raise SuiteError(f"{path}: there are no cases in it")
    _require_unique(path, (case.id for case in cases))
    name = folder.name if path.is_dir() or path.name == _CASES else path.stem
    return Suite(name, cases, tuple(_documents(folder, documents)), relevance)


def documents_in(folder: Path) -> Iterator[SuiteDocument]:
    """The readable files below a folder, named by their paths from it."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix.lower() in _READABLE:
            yield SuiteDocument(file.relative_to(folder).as_posix(), file.read_bytes())


def _cases(path: Path) -> tuple[tuple[Case, ...], dict[str, dict[str, int]]]:
    if path.is_file():
        return _own(path)
    if (path / _CASES).is_file():
        return _own(path / _CASES)
    if (path / _QUERIES).is_file():
        return _beir(path)
    if (path / _QUESTIONS).is_file():
        return _with_passages(path / _QUESTIONS)
    raise SuiteError(f"{path}: holds neither {_CASES} nor {_QUERIES} nor {_QUESTIONS}")


def _own(file: Path) -> tuple[tuple[Case, ...], dict[str, dict[str, int]]]:
    cases = tuple(_case(file, number, record) for number, record in _records(file))
    return cases, {case.id: dict.fromkeys(case.documents, 1) for case in cases if case.documents}


def _beir(folder: Path) -> tuple[tuple[Case, ...], dict[str, dict[str, int]]]:
    relevance = _judgements(folder)
    cases = tuple(
        _case(
            folder / _QUERIES,
            number,
            {
                "id": record.get("_id"),
                "question": record.get("text"),
                "answers": record.get("answers", ()),
                "documents": tuple(relevance.get(str(record.get("_id")), ())),
            },
        )
        for number, record in _records(folder / _QUERIES)
    )
    return cases, relevance


def _with_passages(file: Path) -> tuple[tuple[Case, ...], dict[str, dict[str, int]]]:
    """Questions about one passage each, which may look as if it answered them and does not."""
    cases = []
    for number, record in _records(file):
        answerable = record.get("answerable", True)
        case: Record = {
            "id": record.get("_id"),
            "question": record.get("text"),
            "answerable": answerable,
            "answers": record.get("answers", ()),
            "documents": (record.get("passage"),) if answerable else (),
        }
        cases.append(_case(file, number, case))
    relevance = {case.id: dict.fromkeys(case.documents, 1) for case in cases if case.documents}
    return tuple(cases), relevance


def _judgements(folder: Path) -> dict[str, dict[str, int]]:
    for name in _JUDGEMENTS:
        if (folder / name).is_file():
            return _read_judgements(folder / name)
    raise SuiteError(f"{folder}: {_QUERIES} has no {_JUDGEMENTS[0]} beside it")


def _read_judgements(file: Path) -> dict[str, dict[str, int]]:
    """Lines of query, document and gain; a first line without a number is a header."""
    relevance: defaultdict[str, dict[str, int]] = defaultdict(dict)
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip("\n").split("\t")
            try:
                query, document, gain = fields[0], fields[-2], int(fields[-1])
            except (ValueError, IndexError):
                if number == 1 or not line.strip():
                    continue
                raise SuiteError(
                    f"{file}:{number}: wants query, document and gain, parted by tabs"
                ) from None
            if gain > 0:
                relevance[query][document] = gain
    return dict(relevance)


def _documents(folder: Path, documents: Path | None) -> Iterable[SuiteDocument]:
    if documents is not None:
        yield from documents_in(documents)
        return
    corpus = folder / _CORPUS
    if not corpus.is_file():
        return
    for number, record in _records(corpus):
        uri, text = record.get("_id"), record.get("text")
        if not isinstance(uri, str) or not isinstance(text, str):
            raise SuiteError(f"{corpus}:{number}: wants `_id` and `text`")
        yield SuiteDocument(uri, text.encode(), str(record.get("title") or ""), "text/plain")


def _records(file: Path) -> Iterator[tuple[int, Record]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise SuiteError(f"{file}:{number}: is no JSON: {error}") from None
            if not isinstance(record, dict):
                raise SuiteError(f"{file}:{number}: wants an object on each line")
            yield number, record


def _case(file: Path, number: int, record: Record) -> Case:
    try:
        case = _CASE.validate_python(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SuiteError(f"{file}:{number}: {place}: {first['msg']}") from None
    if not case.answerable and case.answers:
        raise SuiteError(f"{file}:{number}: is not answerable, and has answers")
    return case


def _require_unique(path: Path, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise SuiteError(f"{path}: the case {id!r} comes twice")
        seen.add(id)
