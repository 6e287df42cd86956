"""A program that takes an index through a log, one change at a time, until it is killed.

Prints a line before the first change, and the position after each that was taken over.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from core.identifiers import CollectionName, TenantId
from core.knowledge import CollectionKey
from core.ports.indexes import KeywordIndex, VectorIndex
from fakes.index_logs import index_log

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))


def open_index(kind: str, folder: Path) -> VectorIndex | KeywordIndex:
    """The index; only what it needs is imported."""
    if kind == "faiss":
        from adapters.vectors.faiss_index import FaissVectorIndex

        return FaissVectorIndex(folder, garbage_bytes=2000)
    from adapters.keywords.tantivy_index import TantivyKeywordIndex

    return TantivyKeywordIndex(folder)


async def main(kind: str, folder: str, seed: str, length: str) -> None:
    """Apply the changes of the log; those that the index holds are passed over by it."""
    index = open_index(kind, Path(folder))
    log = index_log(int(seed), int(length))
    held = await index.position(KEY)
    print("ready", flush=True)
    for change in log:
        if change.position > held:
            await index.apply(KEY, [change])
            print(change.position, flush=True)
    await index.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
