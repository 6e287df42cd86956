"""The reader of documents: recognises them here, parses them in workers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

from adapters.documents.frames import Job, Rejection, unreadable
from adapters.documents.kinds import HEAD_BYTES, recognise
from adapters.documents.pool import WorkerPool
from adapters.documents.worker_process import Worker
from core.documents import ExtractedDocument, UnreadableDocument, UnreadableReason
from core.identifiers import Seconds

_MEBIBYTE = 1024 * 1024
_CPU_GRACE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """How much one document may take, and how many are read at once."""

    source_bytes: int = 32 * _MEBIBYTE
    text_characters: int = 20_000_000
    worker_memory_bytes: int = 1024 * _MEBIBYTE
    workers: int = 2
    idle_seconds: Seconds = Seconds(60.0)


class WorkerDocumentReader:
    """DocumentReader over parsers in processes of their own.

    A document that crashes its parser, hangs it or makes it eat memory is rejected alone. The
    first worker starts with the first document; `close` ends them all.
    """

    def __init__(self, limits: ReaderLimits = ReaderLimits()) -> None:
        self._limits = limits
        start = functools.partial(Worker.start, memory_bytes=limits.worker_memory_bytes)
        self._pool = WorkerPool(limits.workers, start, idle_seconds=limits.idle_seconds)

    async def read(
        self, data: bytes, *, uri: str, content_type: str, timeout: Seconds
    ) -> ExtractedDocument:
        """As the port says. `timeout` begins when a worker is free."""
        if len(data) > self._limits.source_bytes:
            allowed = self._limits.source_bytes / _MEBIBYTE
            raise UnreadableDocument(
                UnreadableReason.TOO_LARGE,
                f"it has {len(data) / _MEBIBYTE:.1f} MiB and {allowed:g} are read; split it",
            )
        recognised = recognise(data[:HEAD_BYTES], uri=uri, content_type=content_type)
        job = Job(
            kind=recognised.kind.value,
            charset=recognised.charset,
            size=len(data),
            text_limit=self._limits.text_characters,
            cpu_seconds=math.ceil(timeout) + _CPU_GRACE_SECONDS,
        )
        answer = await self._pool.run(job, data, timeout_seconds=timeout)
        if isinstance(answer, Rejection):
            raise unreadable(answer)
        return replace(answer, content_type=recognised.kind.media_type)

    async def close(self) -> None:
        """End the workers. Idempotent."""
        await self._pool.close()
