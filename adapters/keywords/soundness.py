"""Whether the files of a tantivy index are as they were written, which tantivy doesn't look at.

Each file of a segment ends in a footer: a JSON text with the CRC-32 of what is before it, the
length of that text, and a magic number, both as little-endian 32-bit integers. `meta.json`, which
lists the segments, has none: of what it says, the numbers of documents are compared with others.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NUMBER = struct.Struct("<I")
_TAIL = struct.Struct("<II")
_MAGIC = 1337
_BLOCK_BYTES = 1 << 20


def unsound_file(folder: Path) -> str | None:
    """The name of a file that was changed, of those that the index reads; None if none was.

    A file that is missing is for tantivy to notice.
    """
    try:
        unsound = (file.name for file in _files(folder) if not _is_sound(file))
        return next(unsound, None)
    except (ValueError, KeyError, TypeError, OSError):
        return "meta.json"


def _files(folder: Path) -> Iterator[Path]:
    """The files of the segments in use. Raises ValueError where they contradict `meta.json`."""
    for segment in json.loads((folder / "meta.json").read_bytes())["segments"]:
        name = str(segment["segment_id"]).replace("-", "")
        yield from (file for file in folder.glob(f"{name}.*") if file.suffix != ".del")
        if deletes := segment["deletes"]:
            alive = folder / f"{name}.{deletes['opstamp']}.del"
            yield alive
            if _NUMBER.unpack(alive.read_bytes()[:4])[0] != segment["max_doc"]:
                raise ValueError("another number of documents than the list of living ones has")


def _is_sound(file: Path) -> bool:
    with file.open("rb") as opened:
        try:
            body_bytes, expected = _footer(opened)
        except (ValueError, KeyError, TypeError, struct.error):
            return False
        opened.seek(0)
        found = 0
        while body_bytes:
            block = opened.read(min(body_bytes, _BLOCK_BYTES))
            found = zlib.crc32(block, found)
            body_bytes -= len(block)
        return found == expected


def _footer(file: BinaryIO) -> tuple[int, int]:
    """The length of what is before the footer, and its CRC-32. Raises ValueError without one."""
    size = file.seek(0, 2)
    file.seek(max(size - _TAIL.size, 0))
    length, magic = _TAIL.unpack(file.read())
    body_bytes = size - _TAIL.size - length
    if magic != _MAGIC or body_bytes < 0:
        raise ValueError("no footer")
    file.seek(body_bytes)
    return body_bytes, int(json.loads(file.read(length))["crc"])
