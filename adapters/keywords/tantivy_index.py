"""KeywordIndex in the process: one tantivy index a collection."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TypeVar

from adapters.keywords.stored_index import StoredIndex, finish_drops, remove_index
from core.identifiers import Position, Seconds
from core.knowledge import EVERYTHING, CollectionKey, Filter
from core.ports.indexes import Hit, IndexChange
from core.text.folder_names import folder_name

_Result = TypeVar("_Result")


class TantivyKeywordIndex:
    """Implements the port; a collection is opened when it is first asked for.

    One thread opens and changes, in the order of the calls; searches run beside it and see the
    last commit. At most one collection has a writer, which takes threads and memory: the last
    that changed, until it has been quiet for a while. A call that is cancelled is still carried
    out once it has begun. What waits for a thread is as many calls as the caller lets in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        search_threads: int = 2,
        open_collections: int = 32,
        writer_rest: Seconds = Seconds(30.0),
    ) -> None:
        """Use `folder`, which is made if need be.

        `search_threads` is how many searches run at once; beyond `open_collections`, each of
        which has files and a thread of tantivy's, the least recently used are closed; a writer
        is let go `writer_rest` after its last change.
        """
        folder.mkdir(parents=True, exist_ok=True)
        finish_drops(folder)
        self._folder = folder
        self._open: OrderedDict[CollectionKey, StoredIndex] = OrderedDict()
        self._open_limit = open_collections
        self._open_lock = Lock()
        self._writing: StoredIndex | None = None
        self._writer_rest = writer_rest
        self._rest_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._writer = ThreadPoolExecutor(1, "keyword-index-writer")
        self._searchers = ThreadPoolExecutor(search_threads, "keyword-index-search")

    async def apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        """See KeywordIndex. Raises IndexInUse if another process writes the collection."""
        try:
            await _run(self._writer, lambda: self._apply(collection, changes))
        finally:
            self._rest_later()

    async def position(self, collection: CollectionKey) -> Position:
        """See KeywordIndex."""
        return (await self._stored(collection)).position

    async def search(
        self,
        collection: CollectionKey,
        query: str,
        limit: int,
        *,
        where: Filter = EVERYTHING,
    ) -> list[Hit]:
        """See KeywordIndex; scores are BM25 with k1 = 1.2 and b = 0.75."""
        stored = await self._stored(collection)
        return await _run(self._searchers, lambda: stored.search(query, limit, where))

    async def drop(self, collection: CollectionKey) -> None:
        """See KeywordIndex."""
        await _run(self._writer, lambda: self._drop(collection))

    async def close(self) -> None:
        """See KeywordIndex; later calls raise RuntimeError."""
        self._closed = True
        if self._rest_timer:
            self._rest_timer.cancel()
        for executor in (self._writer, self._searchers):
            await asyncio.to_thread(executor.shutdown)
        await asyncio.to_thread(self._rest)
        self._open.clear()

    async def _stored(self, collection: CollectionKey) -> StoredIndex:
        if found := self._found(collection):
            return found
        return await _run(self._writer, lambda: self._opened(collection))

    def _found(self, collection: CollectionKey) -> StoredIndex | None:
        with self._open_lock:
            found = self._open.get(collection)
            if found:
                self._open.move_to_end(collection)
            return found

    def _opened(self, collection: CollectionKey) -> StoredIndex:
        stored = self._found(collection) or StoredIndex(self._path(collection))
        if stored.position:
            self._keep(collection, stored)
        return stored

    def _keep(self, collection: CollectionKey, stored: StoredIndex) -> None:
        with self._open_lock:
            self._open[collection] = stored
            self._open.move_to_end(collection)
            while len(self._open) > self._open_limit:
                self._open.popitem(last=False)

    def _forget(self, collection: CollectionKey) -> None:
        with self._open_lock:
            self._open.pop(collection, None)

    def _apply(self, collection: CollectionKey, changes: Sequence[IndexChange]) -> None:
        stored = self._opened(collection)
        if self._writing is not stored:
            self._rest()
            self._writing = stored
        try:
            stored.apply(changes)
        except OSError:
            self._forget(collection)
            raise
        self._keep(collection, stored)

    def _drop(self, collection: CollectionKey) -> None:
        self._forget(collection)
        self._rest()
        remove_index(self._path(collection))

    def _path(self, collection: CollectionKey) -> Path:
        return self._folder / folder_name(collection.tenant) / folder_name(collection.name)

    def _rest(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.rest()

    def _rest_later(self) -> None:
        if self._rest_timer:
            self._rest_timer.cancel()
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._rest_timer = loop.call_later(self._writer_rest, self._writer.submit, self._rest)


async def _run(executor: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
