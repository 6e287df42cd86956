"""One process at a time writes the indexes of a folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.ports.indexes import IndexInUse


class FolderLock:
    """An advisory lock that the operating system releases when its process ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises IndexInUse if it is held."""
        self._file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise IndexInUse(
                f"the vector indexes in {folder} are in use by another process"
            ) from None
        self._held = True

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._held:
            self._held = False
            os.close(self._file)
