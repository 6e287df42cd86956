"""An embedder around a blocking model, which runs in one thread of its own."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, PriorityQueue
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from adapters.embedders.batching import BatchLimits, batches
from core.errors import Exhausted, Unavailable
from core.ports.embedder import TextKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from core.identifiers import EmbedderName
    from core.knowledge import Vector

QUEUE_LENGTH = 256
"""Batches that may wait; a call has one of its batches in the queue at a time."""


class Encoder(Protocol):
    """A loaded model. All calls come from one thread."""

    def encode(self, texts: Sequence[str], kind: TextKind) -> NDArray[np.float32]:
        """One row a text, L2-normalised. Blocks."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a collection must know of an embedder: see the port's properties."""

    name: EmbedderName
    dimensions: int
    languages: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class _Job:
    """One batch. Queries come first, then who came first."""

    priority: int
    number: int
    texts: Sequence[str] = field(compare=False)
    kind: TextKind = field(compare=False)
    result: Future[list[Vector]] = field(compare=False)


class ThreadedEmbedder:
    """An Embedder whose model is loaded at its first use, in the thread that then runs it.

    Each call is cut into small batches that queue one after another, queries before documents:
    a query waits for one batch at most, and a cancel takes effect with the next. A load that
    failed is tried again by the next call. Raises Exhausted when `QUEUE_LENGTH` batches wait.
    Belongs to one event loop.
    """

    def __init__(
        self, space: Space, load: Callable[[], Encoder], limits: BatchLimits | None = None
    ) -> None:
        self._space = space
        self._load = load
        self._limits = limits or BatchLimits()
        self._queue: PriorityQueue[_Job] = PriorityQueue(QUEUE_LENGTH)
        self._numbers = itertools.count()
        self._thread: Thread | None = None
        self._closed = False

    @property
    def name(self) -> EmbedderName:
        """See Embedder."""
        return self._space.name

    @property
    def dimensions(self) -> int:
        """See Embedder."""
        return self._space.dimensions

    @property
    def languages(self) -> frozenset[str]:
        """See Embedder."""
        return self._space.languages

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        """See Embedder."""
        found: dict[int, Vector] = {}
        for batch in batches(texts, self._limits):
            job = self._submit([texts[place] for place in batch], kind)
            vectors = await asyncio.wrap_future(job.result)
            found.update(zip(batch, vectors, strict=True))
        return [found[place] for place in range(len(texts))]

    async def close(self) -> None:
        """Let the running batch end, refuse those that wait, free the model. Idempotent."""
        self._closed = True
        if self._thread is not None:
            with suppress(Full):  # a full queue wakes the thread as well
                self._queue.put_nowait(self._job(-1, [], TextKind.QUERY))
            await asyncio.to_thread(self._thread.join)

    def _submit(self, texts: Sequence[str], kind: TextKind) -> _Job:
        if self._closed:
            raise self._refusal()
        job = self._job(0 if kind is TextKind.QUERY else 1, texts, kind)
        try:
            self._queue.put_nowait(job)
        except Full:
            raise Exhausted(
                f"the embedder {self.name} has {QUEUE_LENGTH} batches waiting",
                limit="embedder_queue",
            ) from None
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=f"embed {self.name}", daemon=True)
            self._thread.start()
        return job

    def _job(self, priority: int, texts: Sequence[str], kind: TextKind) -> _Job:
        return _Job(priority, next(self._numbers), texts, kind, Future())

    def _serve(self) -> None:
        """The thread: load once, then batch after batch until closed."""
        encoder: Encoder | None = None
        while not self._closed:
            job = self._queue.get()
            if not job.result.set_running_or_notify_cancel():
                continue
            try:
                if self._closed:
                    raise self._refusal()
                if encoder is None:
                    encoder = self._load()
                job.result.set_result(_rows(encoder.encode(job.texts, job.kind)))
            except BaseException as error:  # noqa: BLE001 - whoever awaits the batch gets it
                job.result.set_exception(error)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        with suppress(Empty):
            while True:
                job = self._queue.get_nowait()
                if job.result.set_running_or_notify_cancel():
                    job.result.set_exception(self._refusal())

    def _refusal(self) -> Unavailable:
        return Unavailable(f"the embedder {self.name} is closed")


def _rows(matrix: NDArray[np.float32]) -> list[Vector]:
    matrix.flags.writeable = False
    return [memoryview(row) for row in matrix]
