"""Test collections for retrieval, and the measures on them.

A set is a folder in the BEIR layout (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`), or one whose
`questions.jsonl` names for each answerable question the passage that answers it.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Texts, questions, and for each question the grades (> 0) of the texts that answer it."""

    name: str
    texts: list[str]
    questions: list[str]
    grades: list[dict[int, int]]


def find_set(name: str) -> Path:
    """The folder of a set below COLONNADE_DATA; ends the program where there is none."""
    folder = Path(os.environ.get("COLONNADE_DATA", "")) / name
    if not os.environ.get("COLONNADE_DATA") or not folder.is_dir():
        sys.exit(f"COLONNADE_DATA names no folder with {name}")
    return folder


def load_set(folder: Path) -> RetrievalSet:
    """Read a set; a title that the text does not begin with is put before it."""
    corpus = _lines(folder / "corpus.jsonl")
    place = {row["_id"]: at for at, row in enumerate(corpus)}
    titles = {row.get("title", "") for row in corpus}
    texts = [_with_title(row, useful=len(titles) > 1) for row in corpus]
    if (folder / "questions.jsonl").is_file():
        rows = [row for row in _lines(folder / "questions.jsonl") if row["answerable"]]
        grades = [{place[row["passage"]]: 1} for row in rows]
    else:
        rows = _lines(folder / "queries.jsonl")
        judged = _judgements(folder / "qrels.tsv", place)
        grades = [judged[row["_id"]] for row in rows]
    return RetrievalSet(folder.name, texts, [row["text"] for row in rows], grades)


def _lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _with_title(row: dict[str, str], *, useful: bool) -> str:
    title, text = row.get("title", ""), row["text"]
    return f"{title}\n{text}" if useful and not text.startswith(title) else text


def _judgements(file: Path, place: dict[str, int]) -> dict[str, dict[int, int]]:
    judged: dict[str, dict[int, int]] = defaultdict(dict)
    for line in file.read_text("utf-8").splitlines()[1:]:
        question, text, grade = line.split("\t")
        if int(grade) > 0:
            judged[question][place[text]] = int(grade)
    return judged


Measure = Callable[[Sequence[int], dict[int, int]], float]
"""One question's figure in [0, 1]: of the ranking (places of texts, best first) and the grades."""


def ndcg_at_10(ranking: Sequence[int], grades: dict[int, int]) -> float:
    """Normalised discounted cumulative gain with linear gains (Järvelin and Kekäläinen 2002)."""
    ideal = _gain(sorted(grades.values(), reverse=True)[:10])
    return _gain([grades.get(text, 0) for text in ranking[:10]]) / ideal if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def success_at(depth: int) -> Measure:
    """Whether one of the first `depth` answers; with one answer a question this is recall."""
    return lambda ranking, grades: float(any(text in grades for text in ranking[:depth]))


def reciprocal_rank_at_10(ranking: Sequence[int], grades: dict[int, int]) -> float:
    """One over the rank of the first that answers, 0 beyond the tenth."""
    for rank, text in enumerate(ranking[:10], start=1):
        if text in grades:
            return 1 / rank
    return 0.0


def figures(rankings: Sequence[Sequence[int]], data: RetrievalSet, measure: Measure) -> list[float]:
    """The measure for each question that has an answer at all."""
    return [
        measure(ranking, grades)
        for ranking, grades in zip(rankings, data.grades, strict=True)
        if grades
    ]


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def interval_of_difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean paired difference, by bootstrap over the questions, seeded."""
    draw = np.random.default_rng(7)
    differences = np.subtract(ours, theirs)
    size = len(differences)
    means = np.sort([differences[draw.integers(0, size, size)].mean() for _ in range(RESAMPLES)])
    return float(means[RESAMPLES // 40 - 1]), float(means[-RESAMPLES // 40])
