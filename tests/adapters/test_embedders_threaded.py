"""The queue in front of a blocking model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from adapters.embedders.batching import BatchLimits
from adapters.embedders.threaded import QUEUE_LENGTH, Encoded, Space, ThreadedEmbedder
from core.errors import Exhausted, Unavailable
from core.identifiers import EmbedderName
from core.ports.embedder import TextKind

SPACE = Space(EmbedderName("gated@1"), 2, frozenset())


def encoded(texts: Sequence[str]) -> Encoded:
    """The same vector for each, and a token a letter."""
    return Encoded(np.array([[1.0, 0.0]] * len(texts), np.float32), [len(text) for text in texts])


class GatedModel:
    """Encodes a batch each time that `let_pass` is called; `seen` has the batches in order."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.threads: set[int] = set()
        self.started = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)

    def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
        self.seen.append(list(texts))
        self.threads.add(threading.get_ident())
        self.started.release()
        self._gate.acquire()
        return encoded(texts)

    def let_pass(self, batches: int = 1) -> None:
        self._gate.release(batches)

    async def batch_started(self) -> None:
        await asyncio.to_thread(self.started.acquire)


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
async def embedder(model: GatedModel) -> AsyncIterator[ThreadedEmbedder]:
    made = ThreadedEmbedder(SPACE, lambda: model, BatchLimits(texts=2))
    yield made
    model.let_pass(10_000)
    await made.close()


def documents(embedder: ThreadedEmbedder, *texts: str) -> asyncio.Task[object]:
    return asyncio.create_task(embedder.embed(texts, TextKind.DOCUMENT))


async def test_a_query_passes_between_two_batches_of_documents(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    ingest = documents(embedder, "d1", "d2", "d3", "d4")
    other_ingest = documents(embedder, "e1", "e2")
    await model.batch_started()
    query = asyncio.create_task(embedder.embed(["q"], TextKind.QUERY))
    await asyncio.sleep(0)

    model.let_pass(2)
    await query

    assert model.seen[:2] == [["d1", "d2"], ["q"]]
    model.let_pass(10)
    await asyncio.gather(ingest, other_ingest)


async def test_a_cancelled_call_sends_no_further_batch(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    ingest = documents(embedder, "d1", "d2", "d3", "d4")
    await model.batch_started()

    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest
    model.let_pass(10)
    await embedder.embed(["q"], TextKind.QUERY)

    assert model.seen == [["d1", "d2"], ["q"]]


async def test_a_call_that_is_cancelled_while_it_waits_is_never_run(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    running = documents(embedder, "d1")
    await model.batch_started()
    waiting = documents(embedder, "never")
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    model.let_pass(10)
    await running
    await embedder.embed(["q"], TextKind.QUERY)

    assert model.seen == [["d1"], ["q"]]


async def test_more_callers_than_the_queue_holds_are_refused(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    running = documents(embedder, "d0")
    await model.batch_started()
    waiting = [documents(embedder, f"d{n}") for n in range(QUEUE_LENGTH)]
    await asyncio.sleep(0)

    with pytest.raises(Exhausted, match="waiting"):
        await embedder.embed(["one too many"], TextKind.DOCUMENT)

    model.let_pass(QUEUE_LENGTH + 1)
    await asyncio.gather(running, *waiting)


async def test_the_loop_is_free_while_the_model_works(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    ingest = documents(embedder, "d1")
    await model.batch_started()

    await asyncio.sleep(0)

    assert not ingest.done()
    assert threading.get_ident() not in model.threads
    model.let_pass()
    await ingest


async def test_one_thread_runs_everything(embedder: ThreadedEmbedder, model: GatedModel) -> None:
    model.let_pass(100)

    await asyncio.gather(*(documents(embedder, f"d{n}") for n in range(20)))

    assert len(model.threads) == 1


async def test_closing_refuses_those_that_wait_and_lets_the_running_batch_end(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    running = documents(embedder, "d1")
    await model.batch_started()
    waiting = documents(embedder, "d2")
    await asyncio.sleep(0)

    closing = asyncio.create_task(embedder.close())
    await asyncio.sleep(0)
    model.let_pass()
    await closing

    await running
    with pytest.raises(Unavailable, match="closed"):
        await waiting


async def test_a_load_that_failed_is_tried_again(model: GatedModel) -> None:
    causes = [Unavailable("no weights yet")]

    def load() -> GatedModel:
        if causes:
            raise causes.pop()
        return model

    embedder = ThreadedEmbedder(SPACE, load)
    model.let_pass(10)

    with pytest.raises(Unavailable, match="no weights yet"):
        await embedder.embed(["q"], TextKind.QUERY)
    assert await embedder.embed(["q"], TextKind.QUERY)
    await embedder.close()


async def test_an_error_of_the_model_reaches_its_caller_alone() -> None:
    class Moody:
        def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
            if "bad" in texts:
                raise MemoryError("no memory for bad")
            return encoded(texts)

    embedder = ThreadedEmbedder(SPACE, Moody)

    bad, good = await asyncio.gather(
        embedder.embed(["bad"], TextKind.DOCUMENT),
        embedder.embed(["good"], TextKind.DOCUMENT),
        return_exceptions=True,
    )

    assert isinstance(bad, MemoryError)
    assert isinstance(good, list)
    assert [vector.tolist() for vector in good] == [[1.0, 0.0]]
    await embedder.close()


async def test_vectors_cannot_be_written_to(embedder: ThreadedEmbedder, model: GatedModel) -> None:
    model.let_pass()

    [vector] = await embedder.embed(["d1"], TextKind.DOCUMENT)

    assert vector.readonly


def queries(embedder: ThreadedEmbedder, *texts: str) -> list[asyncio.Task[list[memoryview]]]:
    """A caller for each."""
    return [asyncio.create_task(embedder.embed([text], TextKind.QUERY)) for text in texts]


async def test_what_several_callers_wait_for_is_encoded_together(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    first = queries(embedder, "q0")
    await model.batch_started()
    rest = queries(embedder, "q1", "q2", "q3", "q4", "q5")
    document = documents(embedder, "d1")
    await asyncio.sleep(0)
    model.let_pass(10)
    await asyncio.gather(*first, *rest, document)
    assert model.seen == [["q0"], ["q1", "q2"], ["q3", "q4"], ["q5"], ["d1"]]


async def test_long_texts_are_not_padded_to_more_than_a_batch(model: GatedModel) -> None:
    embedder = ThreadedEmbedder(SPACE, lambda: model, BatchLimits(texts=8, characters=20))
    first = queries(embedder, "q0")
    await model.batch_started()
    rest = queries(embedder, "short", "x" * 9, "y" * 9)
    await asyncio.sleep(0)
    model.let_pass(10)
    await asyncio.gather(*first, *rest)
    await embedder.close()
    assert model.seen == [["q0"], ["short", "x" * 9], ["y" * 9]]


async def test_who_sends_what_cannot_be_encoded_fails_alone() -> None:
    class Picky(GatedModel):
        def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
            found = super().encode(texts, kind)
            if "bad" in texts:
                raise ValueError("bad")
            return found

    model = Picky()
    embedder = ThreadedEmbedder(SPACE, lambda: model)
    first = queries(embedder, "q0")
    await model.batch_started()
    good, bad, other = queries(embedder, "good", "bad", "other")
    await asyncio.sleep(0)
    model.let_pass(10)
    outcomes = await asyncio.gather(good, bad, other, return_exceptions=True)
    await asyncio.gather(*first)
    await embedder.close()
    assert [isinstance(outcome, ValueError) for outcome in outcomes] == [False, True, False]


async def test_each_caller_is_told_the_tokens_of_its_own_texts(
    embedder: ThreadedEmbedder, model: GatedModel
) -> None:
    first = queries(embedder, "q0")
    await model.batch_started()
    one, other = (
        asyncio.create_task(embedder.embed_counted(texts, TextKind.QUERY))
        for texts in (["a"], ["bc", "def", "ghij"])
    )
    await asyncio.sleep(0)
    model.let_pass(10)
    await asyncio.gather(*first)
    assert ((await one).tokens, (await other).tokens) == (1, 9)


async def test_a_model_that_does_not_count_leaves_the_tokens_unknown() -> None:
    class Silent:
        def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
            return encoded(texts)._replace(tokens=None)

    embedder = ThreadedEmbedder(SPACE, Silent)
    assert (await embedder.embed_counted(["a"], TextKind.QUERY)).tokens is None
    await embedder.close()
