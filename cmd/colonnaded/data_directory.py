"""The one folder in which a node keeps everything, locked by the process that owns it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class DataDirectoryLocked(Exception):
    """Another process owns the folder; the message says which, if it can be told."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A folder that this process owns, and the places in it."""

    root: Path

    @property
    def state(self) -> Path:
        """The file of the SQLite store."""
        return self.root / "state.sqlite"

    @property
    def vectors(self) -> Path:
        """The vector indexes, one folder a tenant and collection."""
        return self.root / "vectors"

    @property
    def keywords(self) -> Path:
        """The keyword indexes, likewise."""
        return self.root / "keywords"


@contextmanager
def owned_data_directory(root: Path) -> Iterator[DataDirectory]:
    """Own the folder while the block runs; it is made if need be, for its owner's eyes only.

    Whoever holds the lock alone knows that no other process runs turns in it. Raises
    DataDirectoryLocked, and OSError where the folder cannot be made or written.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = root / "lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, root)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield DataDirectory(root)
    finally:
        os.close(descriptor)  # which lets go of the lock


def _take(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        raise DataDirectoryLocked(
            f"{root} is in use by another process ({owner or 'unknown'}); "
            "stop it, or set another data_dir"
        ) from error
