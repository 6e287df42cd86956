"""A store that can't be written: another holds its lock, or there is no room on its disk."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

_SMALL_MB = 256
_LOCK_AGAIN_S = 0.001


@asynccontextmanager
async def locked_store(file: Path) -> AsyncIterator[None]:
    """As by a backup that takes its time: reading goes on, writing waits."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as other:
        while True:
            try:
                other.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError:
                await asyncio.sleep(_LOCK_AGAIN_S)
        yield


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own for the folder, where we may make one; else the folder as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mounted = _mount(folder)
    try:
        yield
    finally:
        if mounted:
            copy = folder.with_name(f"{folder.name}-kept")
            shutil.copytree(folder, copy)
            subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full_disk(folder: Path, pids: Sequence[int]) -> Iterator[None]:
    """No room in the folder, whoever writes; where it has no file system of its own: no room in any
    file that these processes write.
    """
    if folder.is_mount():
        filler = folder / "filler"
        with filler.open("wb") as file:
            _fill(file.fileno())
        try:
            yield
        finally:
            filler.unlink()
        return
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_MB}m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _fill(descriptor: int) -> None:
    """Write until nothing more goes in, in ever smaller pieces."""
    for size in (1 << 20, 1 << 12, 1):
        try:
            while True:
                os.write(descriptor, b"\0" * size)
        except OSError:
            continue
