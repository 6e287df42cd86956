"""A file of records, each whole or not there, whatever happens to the process or the disk.

The file begins with a line that names its format. A record is its length, a CRC-32 over length
and payload, and the payload. Records are appended and forced to the disk; what follows the last
sound one is a torn or damaged tail, and is written over. A journal that holds too much that no
longer matters is rewritten beside itself and renamed into place.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_FORMAT = b"colonnade vectors 1\n"
_LENGTH = struct.Struct("<I")
_HEAD_BYTES = 8


class Journal:
    """The records of one file, which one object at a time works on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_suffix(".new")
        self.size_bytes = 0
        """Up to the end of the last sound record; 0 where there is none to go on from."""

    def read(self) -> Iterator[bytes]:
        """The payloads of the sound records, in order, up to the first that is not."""
        self._beside.unlink(missing_ok=True)
        self.size_bytes = 0
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            if file.read(len(_FORMAT)) != _FORMAT:
                return
            self.size_bytes = len(_FORMAT)
            while (payload := _read_record(file)) is not None:
                self.size_bytes += _HEAD_BYTES + len(payload)
                yield payload

    def cut_unsound(self) -> int:
        """Cut off what lies behind the last sound record; how many bytes that was."""
        try:
            excess = self._path.stat().st_size - self.size_bytes
        except FileNotFoundError:
            return 0
        if excess:
            os.truncate(self._path, self.size_bytes)
        return excess

    def append(self, payloads: Iterable[bytes]) -> None:
        """Add records; they are on the disk when it returns.

        Raises OSError; then some first ones may be in the file, and the next call writes over
        them.
        """
        if created := not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("xb" if created else "r+b") as file:
            file.truncate(self.size_bytes)
            file.seek(self.size_bytes)
            end = _write(file, payloads)
        if created:
            _force_names(self._path.parent, levels=3)
        self.size_bytes = end

    def rewrite(self, payloads: Iterable[bytes]) -> None:
        """Put these records in the place of all others. Raises OSError; then nothing changed."""
        try:
            with self._beside.open("wb") as file:
                end = _write(file, payloads)
        except OSError:
            self._beside.unlink(missing_ok=True)
            raise
        self._beside.replace(self._path)
        _force_names(self._path.parent)
        self.size_bytes = end

    def remove(self) -> None:
        """Delete the file, and its folders as far as they are empty. Idempotent."""
        self._beside.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
        self.size_bytes = 0
        if self._path.parent.exists():
            _force_names(self._path.parent)
            _remove_if_empty(self._path.parent, self._path.parent.parent)


def _read_record(file: BinaryIO) -> bytes | None:
    """The next payload, or None where no sound record follows."""
    head = file.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        return None
    length = _LENGTH.unpack_from(head)[0]
    if length > os.fstat(file.fileno()).st_size - file.tell():
        return None
    payload = file.read(length)
    return payload if head == _head(payload) else None


def _write(file: BinaryIO, payloads: Iterable[bytes]) -> int:
    """Write the records from where `file` stands and force them to the disk; where they end."""
    if file.tell() == 0:
        file.write(_FORMAT)
    for payload in payloads:
        file.write(_head(payload))
        file.write(payload)
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def _head(payload: bytes) -> bytes:
    length = _LENGTH.pack(len(payload))
    return length + _LENGTH.pack(zlib.crc32(payload, zlib.crc32(length)))


def _force_names(folder: Path, levels: int = 1) -> None:
    """Make the names in `folder`, and in the folders above it, outlast a loss of power."""
    for named in [folder, *folder.parents][:levels]:
        descriptor = os.open(named, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        if any(folder.iterdir()):
            return
        folder.rmdir()
