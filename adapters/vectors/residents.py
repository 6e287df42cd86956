"""Which collections are in memory: the most recently used, within a bound."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from adapters.vectors.stored_collection import StoredCollection
from core.knowledge import CollectionKey


class Residents:
    """Any thread may look one up. What is put out is only forgotten: it is on the disk."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = Lock()
        self._collections: OrderedDict[CollectionKey, StoredCollection] = OrderedDict()

    def find(self, key: CollectionKey) -> StoredCollection | None:
        """The collection, which counts as used now; None where it is not in memory."""
        with self._lock:
            found = self._collections.get(key)
            if found:
                self._collections.move_to_end(key)
            return found

    def keep(self, key: CollectionKey, collection: StoredCollection) -> None:
        """Have it in memory, as the last of all to go; others go while there is too much."""
        with self._lock:
            self._collections[key] = collection
            self._collections.move_to_end(key)
            excess = sum(each.size_bytes for each in self._collections.values()) - self._limit_bytes
            while excess > 0 and len(self._collections) > 1:
                excess -= self._collections.popitem(last=False)[1].size_bytes

    def forget(self, key: CollectionKey) -> None:
        """Put it out. Idempotent."""
        with self._lock:
            self._collections.pop(key, None)

    def clear(self) -> None:
        """Put all out."""
        with self._lock:
            self._collections.clear()
