"""One worker as the server holds it: a process that is asked by pipe, and killed without regret."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from adapters.documents.frames import (
    LARGEST_FRAME,
    LENGTH_BYTES,
    Answer,
    Job,
    MalformedFrameError,
    Rejection,
    job_frame,
)
from adapters.documents.worker import OUT_OF_MEMORY
from core.documents import ExtractedDocument, UnreadableReason

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.append(sys.argv[1]); from adapters.documents.worker import main; main()"
)
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "SYSTEMROOT")
_WRITTEN_AT_ONCE = 1024 * 1024
_BUFFERED = 256 * 1024


class Worker:
    """A worker process, usable as long as every answer of it comes whole."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        requests: asyncio.StreamWriter,
        frames: asyncio.StreamReader,
        answers: asyncio.ReadTransport,
    ) -> None:
        self._process = process
        self._requests = requests
        self._frames = frames
        self._answers = answers
        self._is_idle = True
        self._jobs_done = 0

    @classmethod
    async def start(cls, *, memory_bytes: int) -> Worker:
        """A new process, in a session of its own, so that Ctrl-C is for the server alone.

        `Popen` starts it without running what other libraries do at a fork, as the event loop's
        own way to start a process would: gRPC's handlers are not made for a process that only
        goes on to another program. If this is cancelled, no process is left behind.
        """
        starting = asyncio.ensure_future(asyncio.to_thread(_popen, memory_bytes))
        try:
            return await cls._connected(await asyncio.shield(starting))
        except BaseException:
            await asyncio.wait({starting})
            if starting.exception() is None:
                await _discard(starting.result())
            raise

    @classmethod
    async def _connected(cls, process: subprocess.Popen[bytes]) -> Worker:
        assert process.stdin is not None  # both were asked for
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        frames = asyncio.StreamReader(limit=_BUFFERED)
        answers, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(frames), process.stdout
        )
        sink, flow = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), process.stdin
        )
        return cls(process, asyncio.StreamWriter(sink, flow, None, loop), frames, answers)

    @property
    def is_usable(self) -> bool:
        """Whether it runs and waits for a job."""
        return self._is_idle and self._process.poll() is None

    @property
    def jobs_done(self) -> int:
        """How many documents it has answered for."""
        return self._jobs_done

    async def read(self, job: Job, data: bytes) -> ExtractedDocument | Rejection | None:
        """The answer to one job; None if the worker died or talked nonsense.

        Not to be called before the last answer is there. If this is cancelled the worker is not
        usable any more.
        """
        self._is_idle = False
        try:
            await self._send(job_frame(job), data)
            answer = await self._answer(job.text_limit)
        except (OSError, RuntimeError, asyncio.IncompleteReadError, MalformedFrameError):
            # RuntimeError is uvloop's word for a pipe that nobody holds the other end of.
            return await self._obituary()
        self._jobs_done += 1
        self._is_idle = True
        return answer

    async def _send(self, header: bytes, data: bytes) -> None:
        requests = self._requests
        requests.write(header)
        view = memoryview(data)
        for at in range(0, len(view), _WRITTEN_AT_ONCE):
            requests.write(view[at : at + _WRITTEN_AT_ONCE])
            await requests.drain()
        await requests.drain()

    async def _answer(self, text_limit: int) -> ExtractedDocument | Rejection:
        frames = self._frames
        answer = Answer(text_limit)
        while answer.whole is None:
            length = int.from_bytes(await frames.readexactly(LENGTH_BYTES), "big")
            if length > LARGEST_FRAME:
                raise MalformedFrameError("a frame that is too large")
            answer.take(await frames.readexactly(length))
        return answer.whole

    async def _obituary(self) -> Rejection | None:
        """Why the document that it was reading is rejected, if the way that it died tells."""
        await self.end()
        if self._process.returncode == -signal.SIGXCPU:
            return Rejection(UnreadableReason.TOO_SLOW, "reading it takes too long; split it")
        if self._process.returncode == OUT_OF_MEMORY:
            return Rejection(UnreadableReason.TOO_LARGE, "it takes too much memory; split it")
        return None

    def kill(self) -> None:
        """Make the process end now; a `read` that waits for it gives None."""
        self._is_idle = False
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it may end by itself in this moment
                self._process.kill()

    async def end(self) -> None:
        """Kill the process and let go of its pipes. Not while a `read` waits."""
        self.kill()
        self._requests.close()
        self._answers.close()
        await asyncio.to_thread(self._process.wait)


def _popen(memory_bytes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own interpreter and program
        [
            *(sys.executable, "-I", "-X", "utf8", "-c", _START),
            *(str(_SOURCE_ROOT), str(memory_bytes)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
        cwd="/",
        start_new_session=True,
    )


async def _discard(process: subprocess.Popen[bytes]) -> None:
    """End a process that nobody will ask for anything."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    await asyncio.to_thread(process.wait)
