"""Changes as they come in: checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from adapters.vectors.records import Floats, VectorChange, VectorChunk
from core.identifiers import Position
from core.knowledge import Vector
from core.ports.indexes import DimensionMismatch, IndexChange, IndexedChunk


def accept(
    changes: Iterable[IndexChange], position: Position, dimensions: int
) -> list[VectorChange]:
    """The changes behind `position`, as they are kept; `dimensions` is 0 if not known yet.

    Raises DimensionMismatch, or ValueError for what is no vector of finite float32 values.
    """
    accepted: list[VectorChange] = []
    for change in changes:
        if change.position <= position:
            continue
        chunks = {chunk.id: chunk for chunk in change.added}.values()
        kept = [_kept(chunk) for chunk in chunks if chunk.vectors]
        dimensions = _common_dimensions(kept, dimensions)
        without = [chunk.id for chunk in chunks if not chunk.vectors]
        accepted.append(
            VectorChange(change.position, dimensions, [*change.removed, *without], kept)
        )
        position = change.position
    return accepted


def as_array(vector: Vector) -> Floats:
    """The vector's values. Raises ValueError for what is no vector of finite float32 values."""
    if vector.format != "f" or vector.ndim != 1 or not len(vector):
        raise ValueError("a vector is a memoryview of float32 values with one dimension")
    values = np.asarray(vector, np.float32)
    if not np.isfinite(values).all():
        raise ValueError("a vector has a value that is not finite")
    return values


def _kept(chunk: IndexedChunk) -> VectorChunk:
    rows = [as_array(vector) for vector in chunk.vectors]
    if len({len(row) for row in rows}) > 1:
        raise DimensionMismatch(f"the vectors of chunk {chunk.id!r} differ in dimensions")
    return VectorChunk(chunk.id, np.stack(rows), chunk.attributes)


def _common_dimensions(chunks: Iterable[VectorChunk], dimensions: int) -> int:
    for chunk in chunks:
        found = chunk.vectors.shape[1]
        if found != (dimensions or found):
            raise DimensionMismatch(
                f"chunk {chunk.id!r} has {found} dimensions, the collection {dimensions}"
            )
        dimensions = found
    return dimensions
