"""Processes under measure: started, talked to in lines of JSON, and their CPU time read."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join(str(_ROOT / part) for part in (".", "cmd", "clients/python"))
_CPUCLOCK_SCHED = 2
"""All CPU time of a process, in nanoseconds; see `clock_getcpuclockid(3)`."""


class Child:
    """A process of ours that answers each line of JSON with one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._clock = (~process.pid << 3) | _CPUCLOCK_SCHED

    def cpu_s(self) -> float:
        """The CPU time of all its threads, also of those that have ended."""
        return time.clock_gettime(self._clock)

    def resident_kb(self) -> int:
        """Its memory."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024

    def ask(self, **question: object) -> dict[str, Any]:
        """Send one line and wait for the answer."""
        self.send(**question)
        return self.answer()

    def send(self, **question: object) -> None:
        """Send one line; its answer is to be fetched."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line that it writes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()

    def stop(self) -> None:
        """Close its input, which tells it to end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def child(module: str, *arguments: str, errors: IO[str] | None = None) -> Iterator[Child]:
    """A module of ours as a process of its own, while the block runs.

    What it logs goes to `errors`, else to where ours goes.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": _PATH},
    )
    started = Child(process)
    try:
        yield started
    finally:
        started.stop()


def tune() -> None:
    """In the child: what `colonnade serve` does for its process."""
    sys.setswitchinterval(0.001)
    gc.set_threshold(20_000, 20, 20)


async def serve_until_told(address: str, report: Callable[[], Mapping[str, object]]) -> None:
    """In the child: say the address, then answer each line with a report, until input ends."""
    print(json.dumps({"address": address}), flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps(report()), flush=True)
