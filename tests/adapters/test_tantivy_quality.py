"""Tantivy ranks as BM25 does, on real collections and beside a plain implementation of it."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.keywords.tantivy_index import TantivyKeywordIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import CollectionKey
from core.ports.indexes import Hit, IndexChange, IndexedChunk, KeywordIndex
from fakes.keyword_index import FakeKeywordIndex

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))


@dataclass
class DataSet:
    """In the BEIR layout. `grades` has the judged documents of each query."""

    documents: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def read(folder: Path, *, queries: int) -> DataSet:
    """All documents, and queries spread over the file."""
    documents = {
        line["_id"]: f"{line['title']} {line['text']}" for line in lines(folder / "corpus.jsonl")
    }
    asked = {line["_id"]: line["text"] for line in lines(folder / "queries.jsonl")}
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for row in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, grade = row.split("\t")
        grades[query][document] = int(grade)
    judged = [query for query in asked if query in grades]
    chosen = judged[:: max(len(judged) // queries, 1)]
    return DataSet(documents, {query: asked[query] for query in chosen}, grades)


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def ndcg_at_10(hits: list[Hit], grades: dict[str, int]) -> float:
    """Järvelin and Kekäläinen 2002, with the grade as the gain."""
    gained = sum(
        grades.get(hit.chunk, 0) / math.log2(rank + 1) for rank, hit in enumerate(hits[:10], 1)
    )
    best = sorted(grades.values(), reverse=True)[:10]
    return gained / sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, 1))


async def mean_ndcg(index: KeywordIndex, data: DataSet) -> float:
    chunks = tuple(IndexedChunk(ChunkId(n), text, ()) for n, text in data.documents.items())
    await index.apply(KEY, [IndexChange(Position(1), (), chunks)])
    scores = [
        ndcg_at_10(await index.search(KEY, text, 10), data.grades[query])
        for query, text in data.queries.items()
    ]
    return sum(scores) / len(scores)


@pytest.fixture
async def tantivy(tmp_path: Path) -> AsyncIterator[KeywordIndex]:
    index = TantivyKeywordIndex(tmp_path)
    yield index
    await index.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "queries", "at_least"), [("cranfield", 225, 0.36), ("cmrc2018-dev", 200, 0.97)]
)
async def test_it_ranks_as_well_as_plain_bm25(
    data_set: Callable[[str], Path], tantivy: KeywordIndex, name: str, queries: int, at_least: float
) -> None:
    data = read(data_set(name), queries=queries)
    reached = await mean_ndcg(tantivy, data)
    assert reached >= at_least
    assert reached == pytest.approx(await mean_ndcg(FakeKeywordIndex(), data), abs=0.005)


async def test_it_scores_as_plain_bm25_does(tantivy: KeywordIndex) -> None:
    """With texts of up to 39 words: of longer ones tantivy rounds the length."""
    draw = random.Random(5)
    vocabulary = [f"word{number}" for number in range(60)]
    chunks = [
        IndexedChunk(ChunkId(f"c{number}"), " ".join(draw.choices(vocabulary, k=length)), ())
        for number, length in enumerate(draw.choices(range(3, 40), k=300))
    ]
    fake = FakeKeywordIndex()
    for index in (tantivy, fake):
        await index.apply(KEY, [IndexChange(Position(1), (), tuple(chunks))])
    for _ in range(20):
        query = " ".join(draw.choices(vocabulary, k=4))
        scores = [
            {hit.chunk: hit.score for hit in await index.search(KEY, query, 1000)}
            for index in (tantivy, fake)
        ]
        # The mark that tells the position is one document more, without words.
        assert scores[0] == pytest.approx(scores[1], rel=0.01)
