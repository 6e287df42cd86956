"""What every Reranker does, the fake one too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from adapters.rerankers.embedded import EmbeddedReranker
from adapters.rerankers.remote import RemoteReranker
from adapters.rerankers.rerank_server import FORMATS, RerankServer
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.embedder import TextKind
from core.ports.reranker import Reranker
from core.reranking import best_first
from fakes.embedder import FakeEmbedder
from fakes.provider_server import Asked, Plan, ProviderServer
from fakes.reranker import FakeReranker

PLENTY = Seconds(10.0)
QUERY = "lighthouse keeper"
KEEPER, TOWER, BREAD = (
    "The keeper of the lighthouse lit the lamp.",
    "A lighthouse is a tower.",
    "Bread is made of flour.",
)
SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Subject:
    """A reranker under test, which takes long for the query `slow`; and its calls that run."""

    reranker: Reranker
    running: Callable[[], int]


@asynccontextmanager
async def fake() -> AsyncIterator[Subject]:
    class Slow(FakeReranker):
        async def rerank(self, query, documents, **more):  # type: ignore[no-untyped-def]
            self.waits = 60.0 if query == SLOW else 0.0
            return await super().rerank(query, documents, **more)

    made = Slow()
    yield Subject(made, lambda: made.running)


@asynccontextmanager
async def embedded() -> AsyncIterator[Subject]:
    class Slow(FakeEmbedder):
        running = 0

        async def embed(self, texts, kind):  # type: ignore[no-untyped-def]
            Slow.running += 1
            try:
                if kind is TextKind.QUERY and list(texts) == [SLOW]:
                    await asyncio.sleep(60)
                return await super().embed(texts, kind)
            finally:
                Slow.running -= 1

    yield Subject(EmbeddedReranker(Slow()), lambda: Slow.running)


def by_words(asked: Asked) -> Plan:
    """Scores as a server would: the share of the query's words."""
    query = asked.body["query"]
    if query == SLOW:
        return Plan(hangs_before_headers=True)
    documents = asked.body.get("documents") or asked.body["texts"]
    words = query.split()
    scores = [sum(word in text.lower() for word in words) / len(words) for text in documents]
    return Plan.of(*map(str, scores))


@asynccontextmanager
async def remote(format: str) -> AsyncIterator[Subject]:
    async with ProviderServer(by_words) as server:
        url = server.url("tei" if format == "tei" else "rerank")
        made = RemoteReranker(RerankServer(url, "m", FORMATS[format], api_key="k"))
        try:
            yield Subject(made, lambda: server.running)
        finally:
            await made.close()


SUBJECTS: dict[str, Callable[[], AbstractAsyncContextManager[Subject]]] = {
    "fake": fake,
    "embedded": embedded,
    **{name: partial(remote, name) for name in FORMATS},
}


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with SUBJECTS[request.param]() as made:
        yield made


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not done():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)


async def test_what_answers_comes_first(subject: Subject) -> None:
    documents = [BREAD, TOWER, KEEPER]
    scored = await subject.reranker.rerank(QUERY, documents, timeout=PLENTY)
    assert [each.index for each in best_first(scored.scores)] == [2, 1, 0]
    assert all(map(math.isfinite, scored.scores))


async def test_equal_documents_have_equal_scores(subject: Subject) -> None:
    scored = await subject.reranker.rerank(QUERY, [TOWER, KEEPER, TOWER], timeout=PLENTY)
    assert len(scored.scores) == 3
    assert scored.scores[0] == scored.scores[2] < scored.scores[1]


async def test_one_document_and_none(subject: Subject) -> None:
    assert len((await subject.reranker.rerank(QUERY, [KEEPER], timeout=PLENTY)).scores) == 1
    assert len((await subject.reranker.rerank(QUERY, [], timeout=PLENTY)).scores) == 0


async def test_odd_texts_are_taken(subject: Subject) -> None:
    odd = ["", " ", "灯塔", "\ud800", "a" * 40_000, KEEPER]
    scored = await subject.reranker.rerank(QUERY, odd, timeout=PLENTY)
    assert best_first(scored.scores)[0].index == 5


async def test_a_late_one_is_told_to_be_late(subject: Subject) -> None:
    with pytest.raises(ModelError) as caught:
        await subject.reranker.rerank(SLOW, [KEEPER], timeout=Seconds(0.05))
    assert caught.value.kind is ModelErrorKind.TIMEOUT
    await until(lambda: subject.running() == 0)


async def test_a_cancel_stops_it(subject: Subject) -> None:
    task = asyncio.create_task(subject.reranker.rerank(SLOW, [KEEPER], timeout=PLENTY))
    await until(lambda: subject.running() == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: subject.running() == 0)


async def test_closing_ends_calls_that_run_and_refuses_others(subject: Subject) -> None:
    task = asyncio.create_task(subject.reranker.rerank(SLOW, [KEEPER], timeout=PLENTY))
    await until(lambda: subject.running() == 1)
    await subject.reranker.close()
    await subject.reranker.close()
    for late in (task, subject.reranker.rerank(QUERY, [KEEPER], timeout=PLENTY)):
        with pytest.raises(ModelError) as caught:
            await late
        assert caught.value.kind is ModelErrorKind.CONNECTION
