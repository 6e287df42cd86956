"""An embedder around a blocking model, which runs in one thread of its own."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Full
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Protocol

from adapters.embedders.batching import BatchLimits, all_tokens, batches
from adapters.embedders.waiting import Job, Line
from core.errors import Exhausted, Unavailable
from core.ports.embedder import Embedded, TextKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from core.identifiers import EmbedderName
    from core.knowledge import Vector

QUEUE_LENGTH = 256
"""Batches that may wait; a call has one of its batches in the queue at a time."""


class Encoded(NamedTuple):
    """One row a text, L2-normalised; and the tokens that were read of each, None if unknown."""

    rows: NDArray[np.float32]
    tokens: Sequence[int] | None


class Encoder(Protocol):
    """A loaded model. All calls come from one thread."""

    def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
        """The texts' vectors and their tokens, in order. Blocks."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a collection must know of an embedder: see the port's properties."""

    name: EmbedderName
    dimensions: int
    languages: frozenset[str]


class ThreadedEmbedder:
    """A CountingEmbedder whose model is loaded at its first use, in the thread that then runs it.

    Each call is cut into small batches that queue one after another, queries before documents:
    a query waits for one batch at most, and a cancel takes effect with the next. What several
    callers wait for is encoded together where it fits into one batch. A load that failed is
    tried again by the next call. Raises Exhausted when `QUEUE_LENGTH` batches wait.
    Belongs to one event loop.
    """

    def __init__(
        self, space: Space, load: Callable[[], Encoder], limits: BatchLimits | None = None
    ) -> None:
        self._space = space
        self._load = load
        self._limits = limits or BatchLimits()
        self._line = Line(QUEUE_LENGTH)
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
        return (await self.embed_counted(texts, kind)).vectors

    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """See CountingEmbedder: what the model's own tokenizer made of the texts, cut as they are.

        Exact, with the tokens around a text and of a prefix.
        """
        found: dict[int, Vector] = {}
        counts: list[int | None] = []
        for batch in batches(texts, self._limits):
            job = self._submit([texts[place] for place in batch], kind)
            made = await asyncio.wrap_future(job.result)
            found.update(zip(batch, made.vectors, strict=True))
            counts.append(made.tokens)
        return Embedded([found[place] for place in range(len(texts))], all_tokens(counts))

    async def close(self) -> None:
        """Let the running batch end, refuse those that wait, free the model. Idempotent."""
        self._closed = True
        for job in self._line.close():
            if job.result.set_running_or_notify_cancel():
                job.result.set_exception(self._refusal())
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _submit(self, texts: Sequence[str], kind: TextKind) -> Job:
        if self._closed:
            raise self._refusal()
        job = self._job(0 if kind is TextKind.QUERY else 1, texts, kind)
        try:
            self._line.put(job)
        except Full:
            raise Exhausted(
                f"the embedder {self.name} has {QUEUE_LENGTH} batches waiting",
                limit="embedder_queue",
            ) from None
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=f"embed {self.name}", daemon=True)
            self._thread.start()
        return job

    def _job(self, priority: int, texts: Sequence[str], kind: TextKind) -> Job:
        return Job(priority, next(self._numbers), texts, kind, Future())

    def _serve(self) -> None:
        """The thread: load once, then batch after batch until closed."""
        encoder: Encoder | None = None
        while jobs := self._line.take(self._limits):
            wanted = [job for job in jobs if job.result.set_running_or_notify_cancel()]
            if not wanted:
                continue
            try:
                if encoder is None:
                    encoder = self._load()
            except BaseException as error:  # noqa: BLE001  # whoever awaits the batch gets it
                for job in wanted:
                    job.result.set_exception(error)
                continue
            _encode(encoder, wanted)

    def _refusal(self) -> Unavailable:
        return Unavailable(f"the embedder {self.name} is closed")


def _encode(encoder: Encoder, jobs: Sequence[Job]) -> None:
    """Encode jobs of one kind together. Where that fails each gets its own answer or error."""
    try:
        together = [text for job in jobs for text in job.texts]
        encoded = encoder.encode(together, jobs[0].kind)
        rows = _rows(encoded.rows)
    except BaseException as error:  # noqa: BLE001  # whoever awaits the batch gets it
        if len(jobs) == 1:
            jobs[0].result.set_exception(error)
            return
        for job in jobs:
            _encode(encoder, [job])
        return
    at = 0
    for job in jobs:
        end = at + len(job.texts)
        tokens = None if encoded.tokens is None else sum(encoded.tokens[at:end])
        job.result.set_result(Embedded(rows[at:end], tokens))
        at = end


def _rows(matrix: NDArray[np.float32]) -> list[Vector]:
    matrix.flags.writeable = False
    return [memoryview(row) for row in matrix]
