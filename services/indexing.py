"""The indexes follow the change log of the state, from wherever they stand."""

from __future__ import annotations

import asyncio
import errno
from collections import defaultdict

from core.errors import StorageFull, Unavailable
from core.identifiers import Position
from core.knowledge import Collection, CollectionKey
from core.ports.indexes import KeywordIndex, VectorIndex
from core.ports.state import State

_PAGE = 32
"""Changes applied at once: each is a document, so this bounds the memory of a rebuild."""


class IndexFollower:
    """Brings both indexes of a collection up to its log; one at a time a collection.

    The state is the record. A kill between the commit and the indexes, or a lost index, costs
    only the time to follow again.
    """

    def __init__(self, state: State, vectors: VectorIndex, keywords: KeywordIndex) -> None:
        self._state = state
        self._vectors = vectors
        self._keywords = keywords
        self._locks: defaultdict[CollectionKey, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._used: dict[CollectionKey, Collection] = {}

    async def position(self, collection: Collection) -> Position:
        """What both indexes hold."""
        key = collection.index_key
        return min(await self._vectors.position(key), await self._keywords.position(key))

    async def follow(self, collection: Collection, to: Position) -> Position:
        """Apply the log until the indexes hold `to`; where they stand then.

        Indexes that stand beyond the log (the store was restored from an older copy, or lost its
        last commits with the power) hold what never was: they are built anew.
        """
        key = collection.index_key
        positions = await self._vectors.position(key), await self._keywords.position(key)
        if min(positions) >= to and max(positions) <= collection.position:
            return min(positions)
        async with self._locks[key]:
            self._used[key] = collection
            if await self._beyond_log(collection):
                await self._forget(key)
            return await self._catch_up(collection, to)

    async def _beyond_log(self, collection: Collection) -> bool:
        """Whether an index holds more than the store, which is asked again: writes may go on."""
        key = collection.index_key
        furthest = max(await self._vectors.position(key), await self._keywords.position(key))
        async with self._state.snapshot(key.tenant) as view:
            current = await view.knowledge.collection(collection.key.name)
        return current is not None and furthest > current.position

    async def rebuild(self, collection: Collection) -> Position:
        """Forget both indexes and follow the log from its beginning; searches wait for it."""
        async with self._locks[collection.index_key]:
            await self._forget(collection.index_key)
            return await self._catch_up(collection, collection.position)

    async def drop(self, collection: Collection) -> None:
        """Forget the indexes of a collection that was deleted."""
        async with self._locks[collection.index_key]:
            await self._forget(collection.index_key)
        self._locks.pop(collection.index_key, None)
        self._used.pop(collection.index_key, None)

    async def forget_deleted(self) -> int:
        """Drop the indexes written here whose collections are gone; how many collections.

        Whoever deletes a collection drops its own indexes; another process learns of it so.
        """
        count = 0
        for index, collection in list(self._used.items()):
            async with self._state.snapshot(index.tenant) as view:
                current = await view.knowledge.collection(collection.key.name)
            if current is None or current.index_key != index:
                await self.drop(collection)
                count += 1
        return count

    async def _catch_up(self, collection: Collection, to: Position) -> Position:
        """Follow the log; an index that can't be written is thrown away and built anew, once.

        A full disk is no fault of the index: it is told, and the log waits for room.
        """
        try:
            return await self._apply_log(collection, to)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _full() from error
        await self._forget(collection.index_key)
        try:
            return await self._apply_log(collection, to)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _full() from error
            raise Unavailable(f"an index can't be written: {error.strerror or error}") from error

    async def _apply_log(self, collection: Collection, to: Position) -> Position:
        key, index = collection.key, collection.index_key
        at = await self.position(collection)
        while at < to:
            async with self._state.snapshot(key.tenant) as view:
                changes = await view.knowledge.changes(key.name, at, _PAGE)
            if not changes:
                break  # the collection was deleted meanwhile
            await self._vectors.apply(index, changes)
            await self._keywords.apply(index, changes)
            at = changes[-1].position
        return at

    async def _forget(self, index: CollectionKey) -> None:
        await self._vectors.drop(index)
        await self._keywords.drop(index)


def _full() -> StorageFull:
    return StorageFull("the disk with the indexes is full; make room on it")
