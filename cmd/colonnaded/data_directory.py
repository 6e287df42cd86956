"""The one folder in which a node keeps everything, and the locks that tell who uses it.

A process holds two locks for as long as it lives, and the operating system lets go of them when
it dies. Its *slot* gives it index folders that nobody else writes. The *store lock* is shared by
all processes on one store file: whoever gets it alone knows that every turn which the store calls
running belongs to the dead.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.identifiers import Seconds

_PATIENCE = Seconds(60.0)
"""As long as the first process may take to settle what dead ones left."""
_LOOK_AGAIN = Seconds(0.02)


class DataDirectoryLocked(Exception):
    """Others use the folder, or its store; the message says who, if it can be told."""


class StoreLock:
    """Held by every process on one store: shared by several, or by one that wants to be alone.

    `alone`: nobody else held it when it was taken. Until `share`, others are kept waiting.
    """

    def __init__(self, file: Path, *, shared: bool) -> None:
        """Open the lock's file. Raises OSError."""
        self.alone = False
        self._file = file
        self._shared = shared
        self._lock = _opened(file)
        self._gate = _opened(file.with_name(f"{file.name}.gate"))

    async def take(self) -> None:
        """Raises DataDirectoryLocked.

        The operating system turns an exclusive lock into a shared one by letting go of it first.
        So whoever takes it passes a gate, which the one that is alone keeps closed meanwhile.
        """
        await self._pass_gate()
        self.alone = _try(self._lock, fcntl.LOCK_EX)
        if not self.alone and not (self._shared and _try(self._lock, fcntl.LOCK_SH)):
            raise _locked(self._file.parent, [_owner(self._lock)])
        if self.alone:
            _sign(self._lock)
        if not (self.alone and self._shared):
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def share(self) -> None:
        """What dead processes left is settled: let others in, where they may come. Idempotent."""
        if self.alone and self._shared:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go."""
        os.close(self._lock)
        os.close(self._gate)

    async def _pass_gate(self) -> None:
        until = time.monotonic() + _PATIENCE
        while not _try(self._gate, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise DataDirectoryLocked(
                    f"another process has been settling turns in {self._file.parent} for "
                    f"{_PATIENCE:g} s; look at its log"
                )
            await asyncio.sleep(_LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A folder that this process uses, and the places in it.

    `slot` is this process's number among those that share the folder, from 1. `store_lock` is
    None where the store lies elsewhere, or the process only looks something up.
    """

    root: Path
    slot: int = 1
    store_lock: StoreLock | None = None

    @property
    def alone(self) -> bool:
        """Whether no other process can have a turn that runs: whatever the store says, it died."""
        return self.store_lock is not None and self.store_lock.alone

    def let_others_in(self) -> None:
        """What dead processes left is settled. Idempotent."""
        if self.store_lock is not None:
            self.store_lock.share()

    @property
    def state(self) -> Path:
        """The file of the SQLite store, unless the settings name another."""
        return self.root / "state.sqlite"

    @property
    def vectors(self) -> Path:
        """The vector indexes of this process, one folder a tenant and collection."""
        return self._indexes / "vectors"

    @property
    def keywords(self) -> Path:
        """The keyword indexes, likewise."""
        return self._indexes / "keywords"

    @property
    def _indexes(self) -> Path:
        return self.root if self.slot == 1 else self.root / f"replica-{self.slot}"


@asynccontextmanager
async def data_directory(
    root: Path, *, replicas: int, store: Path | None
) -> AsyncIterator[DataDirectory]:
    """Use the folder while the block runs; it is made if need be, for its owner's eyes only.

    At most `replicas` processes do at once. `store` is the file of a store that they share; None
    where it is a server, which others may use from elsewhere. Raises DataDirectoryLocked, and
    OSError where the folder cannot be made or written.
    """
    slot, descriptor = _free_slot(root, replicas)
    try:
        if store is None:
            yield DataDirectory(root, slot)
            return
        lock = StoreLock(_lock_of(store, root), shared=replicas > 1)
        try:
            await lock.take()
            yield DataDirectory(root, slot, lock)
        finally:
            lock.close()
    finally:
        os.close(descriptor)


@asynccontextmanager
async def unused_store(file: Path) -> AsyncIterator[None]:
    """Keep every process away from the store while the block runs.

    Raises DataDirectoryLocked where one uses it.
    """
    places = (_lock_of(file, file.parent), file.with_name(f"{file.name}.lock"))
    async with AsyncExitStack() as stack:
        for place in places:
            lock = StoreLock(place, shared=False)
            stack.callback(lock.close)
            await lock.take()
        yield


def owners(root: Path, replicas: int) -> Sequence[str]:
    """Who uses the folder: the numbers of the processes, as far as they can be told."""
    found: list[str] = []
    for slot in range(1, replicas + 1):
        file = _slot_file(root, slot)
        if file.exists():
            descriptor = _opened(file)
            if not _try(descriptor, fcntl.LOCK_SH):
                found.append(_owner(descriptor))
            os.close(descriptor)
    return found


def _lock_of(store: Path, root: Path) -> Path:
    """In the data directory; beside a store that lies elsewhere, where others may meet it."""
    if store.parent.absolute() == root.absolute():
        return root / "lock"
    store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return store.with_name(f"{store.name}.lock")


def _slot_file(root: Path, slot: int) -> Path:
    return root / f"replica-{slot}.lock"


def _free_slot(root: Path, replicas: int) -> tuple[int, int]:
    """The first number that nobody has, and the lock that keeps it."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    taken: list[str] = []
    for slot in range(1, replicas + 1):
        descriptor = _opened(_slot_file(root, slot))
        if _try(descriptor, fcntl.LOCK_EX):
            _sign(descriptor)
            return slot, descriptor
        taken.append(_owner(descriptor))
        os.close(descriptor)
    raise _locked(root, taken)


def _locked(root: Path, taken: Sequence[str]) -> DataDirectoryLocked:
    if len(taken) == 1:
        return DataDirectoryLocked(
            f"{root} is in use by another process ({taken[0]}); stop it, or set another data_dir"
        )
    return DataDirectoryLocked(
        f"{root} is in use by {len(taken)} processes ({', '.join(taken)}), as many as "
        "server.replicas lets in; stop one, or raise it"
    )


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return False
    return True


def _sign(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _owner(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
