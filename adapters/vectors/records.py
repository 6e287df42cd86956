"""A change of a collection as bytes: what its journal keeps of it.

A record has a position, the number of dimensions, names and attributes in JSON, and the vectors
as little-endian float32 values. A rewritten journal begins with the chunks that lived then; where
they take several records, all but the last of these have position 0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.identifiers import ChunkId, Position

Floats: TypeAlias = NDArray[np.float32]

_HEAD = struct.Struct("<QII")


@dataclass(frozen=True, slots=True)
class VectorChunk:
    """What is kept of a chunk; `vectors` has a row for each, at least one."""

    id: ChunkId
    vectors: Floats
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VectorChange:
    """Chunks that go, then chunks that come, each at most once among these.

    `dimensions` is the collection's, 0 while it has had no vector.
    """

    position: Position
    dimensions: int
    removed: Sequence[ChunkId] = ()
    added: Sequence[VectorChunk] = ()


def encode(change: VectorChange) -> bytes:
    """The change as one record."""
    added = [(c.id, len(c.vectors), dict(c.attributes)) for c in change.added]
    names = json.dumps([list(change.removed), added], separators=(",", ":")).encode()
    head = _HEAD.pack(change.position, change.dimensions, len(names))
    return b"".join([head, names, *(c.vectors.astype("<f4").tobytes() for c in change.added)])


def decode(record: bytes) -> VectorChange:
    """The change that `encode` made the record of."""
    position, dimensions, length = _HEAD.unpack_from(record)
    names_end = _HEAD.size + length
    removed, added = json.loads(record[_HEAD.size : names_end])
    values = np.frombuffer(record, "<f4", offset=names_end).astype(np.float32)
    rows = values.reshape(-1, max(dimensions, 1))
    return VectorChange(Position(position), dimensions, removed, list(_chunks(added, rows)))


def _chunks(
    added: Sequence[tuple[str, int, dict[str, str]]], rows: Floats
) -> Iterator[VectorChunk]:
    first = 0
    for name, count, attributes in added:
        yield VectorChunk(ChunkId(name), rows[first : first + count], attributes)
        first += count
