"""The process in which documents are parsed: one job after another, within hard limits.

It sees no secrets, may write no files, and dies rather than outgrow its memory. It is run as
`python -c`, by `worker_process`, and imports a parser when the first document needs it.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

from adapters.documents.frames import (
    LENGTH_BYTES,
    Job,
    Rejection,
    document_frames,
    job_of,
    rejection_frame,
)
from adapters.documents.kinds import DocumentKind, Recognised
from adapters.documents.parsing import parse
from core.documents import UnreadableDocument, UnreadableReason

OUT_OF_MEMORY = 75
"""The exit code of a worker that its document made too large."""
_OPEN_FILES = 64


def main() -> None:
    """Serve jobs from standard input until it ends. The argument is the memory limit in bytes."""
    _limit_resources(memory_bytes=int(sys.argv[-1]))
    try:
        _serve(sys.stdin.buffer, _answers())
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # at once: tidying up wants memory too


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    while job := _next_job(requests):
        _limit_cpu(job.cpu_seconds)
        for frame in _answer(job, requests.read(job.size)):
            answers.write(frame)
        answers.flush()


def _answers() -> BinaryIO:
    """Standard output for frames alone: what a library prints goes where errors go."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _limit_resources(*, memory_bytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


def _limit_cpu(seconds: int) -> None:
    """Beyond this much more CPU time the kernel ends the process, whoever else forgets to."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, hard))


def _next_job(requests: BinaryIO) -> Job | None:
    length = requests.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    return job_of(requests.read(int.from_bytes(length, "big")))


def _answer(job: Job, data: bytes) -> Iterator[bytes]:
    recognised = Recognised(DocumentKind(job.kind), job.charset)
    try:
        document = parse(data, recognised, text_limit=job.text_limit)
    except UnreadableDocument as error:
        yield rejection_frame(Rejection(error.reason, error.message))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - parsers raise anything at a damaged file
        message = f"it is damaged and cannot be read as {job.kind} ({type(error).__name__})"
        yield rejection_frame(Rejection(UnreadableReason.BROKEN, message))
    else:
        yield from document_frames(document)
