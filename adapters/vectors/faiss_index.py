"""VectorIndex in the process: FAISS scores, a journal a collection keeps.

Exact search over every vector: some tenths of a millisecond for 10,000 of them and some
milliseconds for 100,000, at 384 dimensions. Beyond that another index is the better choice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import faiss

from adapters.vectors.folder_lock import FolderLock
from adapters.vectors.intake import as_array
from adapters.vectors.journal import Journal
from adapters.vectors.residents import Residents
from adapters.vectors.stored_collection import StoredCollection
from core.identifiers import Position
from core.knowledge import EVERYTHING, CollectionKey, Filter, Vector
from core.ports.indexes import Hit, IndexChange
from core.text.folder_names import folder_name

_Result = TypeVar("_Result")


class FaissVectorIndex:
    """Implements the port; a collection is loaded when it is first asked for.

    One thread loads and changes, in the order of the calls; searches run beside it, on views
    that no change touches. A call that is cancelled is still carried out once it has begun.
    What waits for a thread is as many calls as the caller lets in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        faiss_threads: int = 1,
        search_threads: int = 2,
        resident_bytes: int = 1 << 30,
        garbage_bytes: int = 1 << 20,
    ) -> None:
        """Use `folder`, which is made if need be; raises IndexInUse.

        `faiss_threads` is FAISS's own number for one search, `search_threads` how many searches
        run at once. Collections beyond `resident_bytes` of memory (all together; one is always
        kept) are put out and loaded again. A file is written anew when more than `garbage_bytes`
        of it, and more than a third, is about chunks that are gone.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = FolderLock(folder)
        self._garbage_bytes = garbage_bytes
        self._residents = Residents(resident_bytes)
        self._writer = ThreadPoolExecutor(1, "vector-index-writer")
        self._searchers = ThreadPoolExecutor(
            search_threads,
            "vector-index-search",
            # OpenMP counts threads for each of ours; its teams spin while they wait.
            initializer=lambda: faiss.omp_set_num_threads(faiss_threads),
        )

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        """See VectorIndex."""
        await _run(self._writer, lambda: self._apply(collection, changes))

    async def position(self, collection: CollectionKey) -> Position:
        """See VectorIndex."""
        return (await self._stored(collection)).view.position

    async def search(
        self,
        collection: CollectionKey,
        query: Vector,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        """See VectorIndex. Raises DimensionMismatch too, and ValueError for no proper vector."""
        values = as_array(query)
        view = (await self._stored(collection)).view
        return await _run(self._searchers, lambda: view.nearest(values, limit, where))

    async def drop(self, collection: CollectionKey) -> None:
        """See VectorIndex."""
        await _run(self._writer, lambda: self._drop(collection))

    async def close(self) -> None:
        """See VectorIndex; later calls raise RuntimeError."""
        for executor in (self._writer, self._searchers):
            await asyncio.to_thread(executor.shutdown)
        self._residents.clear()
        self._lock.release()

    async def _stored(self, collection: CollectionKey) -> StoredCollection:
        if found := self._residents.find(collection):
            return found
        return await _run(self._writer, lambda: self._loaded(collection))

    def _loaded(self, collection: CollectionKey) -> StoredCollection:
        stored = self._residents.find(collection) or StoredCollection(
            self._file(collection), self._garbage_bytes
        )
        if stored.is_known:
            self._residents.keep(collection, stored)
        return stored

    def _apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        stored = self._loaded(collection)
        try:
            stored.apply(changes)
        except OSError:
            self._residents.forget(collection)
            raise
        if stored.is_known:
            self._residents.keep(collection, stored)

    def _drop(self, collection: CollectionKey) -> None:
        self._residents.forget(collection)
        Journal(self._file(collection)).remove()

    def _file(self, collection: CollectionKey) -> Path:
        tenant, name = folder_name(collection.tenant), folder_name(collection.name)
        return self._folder / tenant / name / "vectors.journal"


async def _run(executor: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
