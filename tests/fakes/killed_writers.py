"""Kills a process while it writes an index."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOG_LENGTH = 4000


async def write_until_killed(kind: str, folder: Path, seed: int, seconds: float) -> int:
    """Let a process go on with the log for so long; the last position that it told of, or 0."""
    arguments = [HERE / "index_writer.py", kind, folder, seed, LOG_LENGTH]
    paths = os.pathsep.join([str(HERE.parent.parent), str(HERE.parent)])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    told = (await process.stdout.read()).split(b"\n")[:-1]
    assert await process.wait() == -signal.SIGKILL, "the log was too short: it came to its end"
    return int(told[-1]) if told else 0
