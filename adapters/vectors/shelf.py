"""A collection's vectors in memory, as its changes make them; it hands out views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from adapters.vectors.growing import Growing
from adapters.vectors.records import Floats, VectorChange, VectorChunk
from adapters.vectors.view import View
from core.identifiers import ChunkId, Position

_BYTES_A_CHUNK = 250
"""About what names and bookkeeping of one chunk take."""


class Shelf:
    """A removed chunk leaves a dead slot, until what lives is put on a new shelf."""

    def __init__(self) -> None:
        self.position = Position(0)
        self.dimensions = 0
        """0 while there has been no vector."""
        self.live_bytes = 0.0
        """The share of the journal that is about the chunks that live."""
        self._vectors: Growing[np.float32] = Growing(np.empty((0, 1), np.float32))
        self._first_rows: Growing[np.int64] = Growing(np.empty(0, np.int64))
        self._alive: Growing[np.bool_] = Growing(np.empty(0, np.bool_))
        self._shares: Growing[np.float64] = Growing(np.empty(0, np.float64))
        self._attribute_set_of: Growing[np.int64] = Growing(np.empty(0, np.int64))
        self._names: list[ChunkId] = []
        self._slot_of: dict[ChunkId, int] = {}
        self._attribute_sets: list[Mapping[str, str]] = []
        self._attribute_set_numbers: dict[frozenset[tuple[str, str]], int] = {}

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._vectors.size_bytes + _BYTES_A_CHUNK * len(self._names)

    def take(self, change: VectorChange, record_bytes: int) -> None:
        """Apply a change, whose record in the journal has so many bytes."""
        if change.dimensions and not self.dimensions:
            self.dimensions = change.dimensions
            self._vectors = Growing(np.empty((0, change.dimensions), np.float32))
        for name in change.removed:
            self._kill(name)
        if change.added:
            self._add(change.added, record_bytes / len(change.added))
        self.position = change.position

    def view(self) -> View:
        """What it holds now."""
        return View(
            position=self.position,
            dimensions=self.dimensions,
            vectors=self._vectors.items,
            first_rows=self._first_rows.items,
            alive=self._alive.items.copy(),
            names=self._names,
            attribute_sets=self._attribute_sets,
            attribute_set_of=self._attribute_set_of.items,
        )

    def live_chunks(self) -> Iterator[VectorChunk]:
        """The chunks that live, in their order."""
        ends = np.append(self._first_rows.items[1:], len(self._vectors))
        for slot in np.flatnonzero(self._alive.items):
            rows = self._vectors.items[self._first_rows.items[slot] : ends[slot]]
            attributes = self._attribute_sets[self._attribute_set_of.items[slot]]
            yield VectorChunk(self._names[slot], rows, attributes)

    def _add(self, chunks: Sequence[VectorChunk], share: float) -> None:
        counts = [len(chunk.vectors) for chunk in chunks]
        starts = len(self._vectors) + np.cumsum([0, *counts[:-1]])
        self._vectors.extend(_stacked(chunks))
        self._first_rows.extend(starts.astype(np.int64))
        self._alive.extend(np.ones(len(chunks), np.bool_))
        self._shares.extend(np.full(len(chunks), share))
        sets = [self._attribute_set(chunk.attributes) for chunk in chunks]
        self._attribute_set_of.extend(np.array(sets, np.int64))
        for chunk in chunks:
            self._kill(chunk.id)
            self._slot_of[chunk.id] = len(self._names)
            self._names.append(chunk.id)
        self.live_bytes += share * len(chunks)

    def _kill(self, name: ChunkId) -> None:
        slot = self._slot_of.pop(name, None)
        if slot is not None:
            self._alive.items[slot] = False
            self.live_bytes -= float(self._shares.items[slot])

    def _attribute_set(self, attributes: Mapping[str, str]) -> int:
        """The number of the set: many chunks have the same, that of their document."""
        key = frozenset(attributes.items())
        number = self._attribute_set_numbers.setdefault(key, len(self._attribute_sets))
        if number == len(self._attribute_sets):
            self._attribute_sets.append(attributes)
        return number


def _stacked(chunks: Sequence[VectorChunk]) -> Floats:
    return np.concatenate([chunk.vectors for chunk in chunks])
