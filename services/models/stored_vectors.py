"""Vectors that any process may give again, as rows of the state."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Mapping, Sequence

from core.canonical import digest
from core.identifiers import Seconds, TenantId
from core.knowledge import Vector
from core.ports.cache_observer import LookUp
from core.ports.embedder import Embedder, TextKind
from services.models.cache_store import CacheStore

KIND = "vector"
_FORMAT = b"\x01"
"""Of a body: this byte, then the numbers as float32, the least byte first."""


class StoredVectors:
    """Finds vectors of texts that some process embedded, and keeps those of this one."""

    def __init__(self, store: CacheStore, lasts: Seconds) -> None:
        self._store = store
        self._lasts = lasts

    async def find(
        self, tenant: TenantId, embedder: Embedder, kind: TextKind, texts: Sequence[str]
    ) -> Mapping[str, Vector]:
        """The vectors that are kept, by text."""
        if not texts:
            return {}
        places = {_place(embedder, kind, text): text for text in texts}
        rows = await self._store.find(tenant, KIND, list(places))
        found: dict[str, Vector] = {}
        for key, row in rows.items():
            vector = _vector_of(row.body, embedder.dimensions)
            self._store.told(KIND, LookUp.UNREADABLE if vector is None else LookUp.HIT)
            if vector is not None:
                found[places[key]] = vector
        return found

    def keep(
        self, tenant: TenantId, embedder: Embedder, kind: TextKind, made: Mapping[str, Vector]
    ) -> None:
        """Have them written once their reader has them."""
        asyncio.get_running_loop().call_soon(self._keep, tenant, embedder, kind, made)

    def _keep(
        self, tenant: TenantId, embedder: Embedder, kind: TextKind, made: Mapping[str, Vector]
    ) -> None:
        for text, vector in made.items():
            key = _place(embedder, kind, text)
            self._store.keep(tenant, KIND, key, _body(vector), self._lasts)


def _place(embedder: Embedder, kind: TextKind, text: str) -> str:
    return digest([embedder.name, embedder.dimensions, kind, text])


def _body(vector: Vector) -> bytes:
    return _FORMAT + _little(array("f", vector.tobytes())).tobytes()


def _vector_of(body: bytes, dimensions: int) -> Vector | None:
    if body[:1] != _FORMAT or len(body) != 1 + 4 * dimensions:
        return None
    return memoryview(_little(array("f", body[1:])))


def _little(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
