"""Questions with their retrieved passages and all features, for `benchmarks/extraction.py`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.models.likeness import LikenessMeter
from core.grounding.answerability import Likenesses, answerability_features
from core.grounding.extraction import PASSAGES, Ranking, rank
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage
from core.ports.embedder import Embedder, TextKind
from core.ports.indexes import Hit
from core.retrieval.fusion import FusionPolicy, fuse
from core.text.sentences import sentences
from core.text.terms import terms

CASES = Path(__file__).parents[1] / "tests" / "core" / "cases"
DATA = Path(os.environ.get("COLONNADE_DATA", "."))
FOUND = 24
"""Hits that each side of the search gives to the fusion."""
EVERY_CMRC = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a set. `passage` holds the answer, or seems to."""

    text: str
    passage: str
    answers: tuple[str, ...]
    answerable: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its ranking by vectors and by words, and the features of both odds."""

    asked: Asked
    ranking: Ranking
    by_words: Ranking
    odds: dict[str, float]
    odds_by_words: dict[str, float]

    @property
    def fold(self) -> int:
        """One of five; all questions on a passage are in the same."""
        return int("".join(filter(str.isdigit, self.asked.passage))) % 5


Documents = dict[str, tuple[str, str]]
"""Title and text by id."""


def dev_cases(language: str) -> tuple[Documents, list[Asked]]:
    """The cases of this repository in one language."""
    documents = _documents(CASES / "extraction_corpus.jsonl", language)
    return documents, _questions(CASES / "extraction_questions.jsonl", documents)


def rhine() -> tuple[Documents, list[Asked]]:
    """SQuAD 2.0, article Rhine: only ever measured."""
    documents = _documents(DATA / "squad2-rhine" / "corpus.jsonl")
    return documents, _questions(DATA / "squad2-rhine" / "questions.jsonl", documents)


def cmrc() -> tuple[Documents, list[Asked]]:
    """Every sixth passage of CMRC 2018 dev, whose questions are all answered."""
    every = _documents(DATA / "cmrc2018-dev" / "corpus.jsonl")
    documents = {key: every[key] for key in list(every)[::EVERY_CMRC]}
    rows = map(json.loads, (DATA / "cmrc2018-dev" / "queries.jsonl").open(encoding="utf-8"))
    asked = [
        Asked(row["text"], row["_id"].split("_QUERY")[0], tuple(row["answers"]), True)
        for row in rows
    ]
    return documents, [each for each in asked if each.passage in documents]


def _documents(path: Path, language: str = "") -> Documents:
    rows = map(json.loads, path.open(encoding="utf-8"))
    return {
        row["_id"]: (row["title"], row["text"])
        for row in rows
        if not language or row["language"] == language
    }


def _questions(path: Path, documents: Documents) -> list[Asked]:
    rows = map(json.loads, path.open(encoding="utf-8"))
    return [
        Asked(row["text"].strip(), row["passage"], tuple(row["answers"]), row["answerable"])
        for row in rows
        if row["passage"] in documents
    ]


async def cases(
    documents: Documents, questions: Sequence[Asked], embedder: Embedder
) -> tuple[list[Case], list[Case]]:
    """Every question searched, ranked and measured, and again without the passage that answers.

    Of the second no question is answerable, and only those are in it that were.
    """
    meter = LikenessMeter(embedder, capacity=100_000)
    search = await _Search.over(documents, embedder)
    given, withheld = [], []
    for asked in questions:
        given.append(await _case(asked, await search.passages(asked.text, ""), meter))
        if asked.answerable:
            others = await search.passages(asked.text, asked.passage)
            withheld.append(await _case(asked, others, meter))
    return given, withheld


async def _case(asked: Asked, passages: list[Passage], meter: LikenessMeter) -> Case:
    ranking = rank(asked.text, passages, await meter.of_sentences(asked.text, passages))
    by_words = rank(asked.text, passages)
    closer = await meter.closer(ranking)
    odds = answerability_features(ranking.question, ranking.scored, passages, closer)
    plain = answerability_features(by_words.question, by_words.scored, passages, Likenesses())
    return Case(asked, ranking, by_words, odds, plain)


class _Search:
    """BM25 and the nearest of a passage's vectors, fused as the service does it."""

    def __init__(self, documents: Documents, embedder: Embedder) -> None:
        self._ids = list(documents)
        self._documents = documents
        self._embedder = embedder
        self._terms = [terms(f"{title}\n{text}") for title, text in documents.values()]
        self._average = sum(map(len, self._terms)) / len(self._terms)
        self._vectors: list[np.ndarray] = []

    @classmethod
    async def over(cls, documents: Documents, embedder: Embedder) -> _Search:
        search = cls(documents, embedder)
        for _, text in documents.values():
            pieces = [text, *(sentence.text for sentence in sentences(text))]
            search._vectors.append(np.array(await embedder.embed(pieces, TextKind.DOCUMENT)))
        return search

    async def passages(self, question: str, without: str) -> list[Passage]:
        (asked,) = await self._embedder.embed([question], TextKind.QUERY)
        near = [float((vectors @ np.asarray(asked)).max()) for vectors in self._vectors]
        fused = fuse(
            self._hits(self._bm25(question), positive=True),
            self._hits(near),
            FusionPolicy(),
            dense_trusted=True,
        )
        found = [hit for hit in fused if hit.chunk != without][:PASSAGES]
        return [self._passage(hit.chunk, hit.score) for hit in found]

    def _hits(self, scores: Sequence[float], *, positive: bool = False) -> list[Hit]:
        order = np.argsort(-np.array(scores), kind="stable")[:FOUND]
        return [
            Hit(ChunkId(self._ids[i]), float(scores[i]))
            for i in order
            if not positive or scores[i] > 0
        ]

    def _bm25(self, question: str, k1: float = 1.2, b: float = 0.75) -> list[float]:
        scores = np.zeros(len(self._ids))
        for term in set(terms(question)):
            counts = np.array([document.count(term) for document in self._terms])
            holders = int((counts > 0).sum())
            idf = np.log(1 + (len(self._ids) - holders + 0.5) / (holders + 0.5))
            lengths = np.array(list(map(len, self._terms))) / self._average
            scores += idf * counts * (k1 + 1) / (counts + k1 * (1 - b + b * lengths))
        return [float(score) for score in scores]

    def _passage(self, key: str, score: float) -> Passage:
        title, text = self._documents[key]
        chunk = Chunk(ChunkId(key), DocumentId(key), 0, text, 0, len(text))
        return Passage(chunk, CollectionName("benchmark"), title, key, score)
