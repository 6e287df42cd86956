"""What a search sees: a collection at one position, which later changes leave as it is."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from adapters.vectors.records import Floats
from core.identifiers import ChunkId, Position
from core.knowledge import Filter
from core.ports.indexes import DimensionMismatch, Hit

Bools: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """Chunks in slots; the vectors of a slot are neighbouring rows, from `first_rows[slot]` on.

    `names` and `attribute_sets` may be longer than the view: what is behind its end came later.
    """

    position: Position
    dimensions: int
    """0 while there has been no vector."""
    vectors: Floats
    first_rows: Numbers
    alive: Bools
    names: Sequence[ChunkId]
    attribute_sets: Sequence[Mapping[str, str]]
    attribute_set_of: Numbers

    def nearest(self, query: Floats, limit: int, where: Filter) -> list[Hit]:
        """The `limit` nearest live chunks that `where` admits, nearest first, ties by id.

        Every vector is scored, so the result is exact. FAISS's own search would cut ties at
        will and count vectors where chunks are asked for. Raises DimensionMismatch.
        """
        if self.dimensions and len(query) != self.dimensions:
            raise DimensionMismatch(
                f"the query has {len(query)} dimensions, the collection {self.dimensions}"
            )
        if limit <= 0 or not len(self.alive):
            return []
        slots = np.flatnonzero(self._admitted(where))
        scores = self._cosines(query)[slots]
        if len(slots) > limit:
            worst = np.partition(scores, len(scores) - limit)[len(scores) - limit]
            slots, scores = slots[scores >= worst], scores[scores >= worst]
        ranked = zip((-scores).tolist(), (self.names[slot] for slot in slots.tolist()), strict=True)
        return [Hit(name, -score) for score, name in heapq.nsmallest(limit, ranked)]

    def _admitted(self, where: Filter) -> Bools:
        if not where.allowed:
            return self.alive
        known = range(int(self.attribute_set_of.max()) + 1)
        admitted = np.fromiter((where.admits(self.attribute_sets[i]) for i in known), np.bool_)
        return self.alive & admitted[self.attribute_set_of]

    def _cosines(self, query: Floats) -> Floats:
        """The score of each slot, dead ones too: that of its nearest vector."""
        query = np.ascontiguousarray(query)
        products = np.empty(len(self.vectors), np.float32)
        faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]  # FAISS's stubs leave it out
            faiss.swig_ptr(products),
            faiss.swig_ptr(query),
            faiss.swig_ptr(self.vectors),
            self.dimensions,
            len(self.vectors),
        )
        nearest: Floats = np.maximum.reduceat(products, self.first_rows)
        return nearest.clip(-1.0, 1.0)
