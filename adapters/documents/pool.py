"""A bounded number of workers, started when they are needed and ended when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from adapters.documents.frames import Job, Rejection
from adapters.documents.worker_process import Worker
from core.documents import ExtractedDocument, UnreadableReason
from core.errors import Unavailable
from core.identifiers import Seconds

_JOBS_OF_ONE_WORKER = 500
"""After so many a worker is replaced: parsers keep memory that they have once used."""

_CRASHED = Rejection(
    UnreadableReason.BROKEN, "it is damaged so badly that reading it ended the reader"
)


class WorkerPool:
    """Runs jobs in at most `size` workers at once; callers beyond that wait their turn.

    A worker without work for `idle_seconds` is ended. Cancelling `run`, or its time-out, kills
    the worker that it occupied, and no other.
    """

    def __init__(
        self, size: int, start: Callable[[], Awaitable[Worker]], *, idle_seconds: Seconds
    ) -> None:
        self._size = size
        self._start = start
        self._idle_seconds = idle_seconds
        self._free = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def run(
        self, job: Job, data: bytes, *, timeout_seconds: Seconds
    ) -> ExtractedDocument | Rejection:
        """The worker's answer. The time-out counts from when a worker is free."""
        async with self._free:
            worker = await self._take()
            answer = await self._answer(worker, job, data, timeout_seconds)
            if answer is None and worker.jobs_done:
                # A used one may have been dead before it was asked; a new one can't.
                answer = await self._answer(await self._new(), job, data, timeout_seconds)
            return answer or _CRASHED

    async def _answer(
        self, worker: Worker, job: Job, data: bytes, timeout_seconds: Seconds
    ) -> ExtractedDocument | Rejection | None:
        self._busy.add(worker)
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await worker.read(job, data)
            self._require_open()
            return answer
        except TimeoutError:
            message = f"reading it takes longer than {timeout_seconds:g} s; split it"
            return Rejection(UnreadableReason.TOO_SLOW, message)
        finally:
            self._give_back(worker)

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_usable:
                return worker
            self._dismiss(worker)
        return await self._new()

    async def _new(self) -> Worker:
        self._require_open()
        try:
            return await self._start()
        except OSError as error:
            raise Unavailable(f"no process can be started to read documents: {error}") from None

    def _require_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the reader of documents is closed")

    def _give_back(self, worker: Worker) -> None:
        self._busy.discard(worker)
        is_worn = worker.jobs_done >= _JOBS_OF_ONE_WORKER
        if not worker.is_usable or is_worn or self._is_closed:
            self._dismiss(worker)
            return
        self._idle.append(worker)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._dismiss_idle)

    def _dismiss_idle(self) -> None:
        while self._idle:
            self._dismiss(self._idle.pop())

    def _dismiss(self, worker: Worker) -> None:
        """End a worker in the background: a cancelled caller must not wait for it."""
        ending = asyncio.get_running_loop().create_task(worker.end())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """End all workers; a job that still runs raises Unavailable. Idempotent."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._dismiss_idle()
        for worker in self._busy:
            worker.kill()
        for _ in range(self._size):
            await self._free.acquire()  # all of them: then nothing runs any more
        for _ in range(self._size):
            self._free.release()
        if self._endings:
            await asyncio.gather(*self._endings)
