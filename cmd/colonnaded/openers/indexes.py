"""Opens the two derived indexes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from colonnaded.data_directory import DataDirectory
from core.pages import Cursor
from core.ports.indexes import KeywordIndex, VectorIndex
from core.ports.state import EVERY_TENANT, State
from core.text.folder_names import folder_name

_PAGE = 500


async def open_vector_index(data: DataDirectory, state: State) -> AsyncIterator[VectorIndex]:
    """The index by meaning. Collections are loaded when they are first asked for."""
    from adapters.vectors.faiss_index import FaissVectorIndex

    index = FaissVectorIndex(data.vectors)
    await _forget_deleted(data.vectors, state)
    try:
        yield index
    finally:
        await index.close()


async def open_keyword_index(data: DataDirectory, state: State) -> AsyncIterator[KeywordIndex]:
    """The index by words. Collections are loaded when they are first asked for."""
    from adapters.keywords.tantivy_index import TantivyKeywordIndex

    index = TantivyKeywordIndex(data.keywords)
    await _forget_deleted(data.keywords, state)
    try:
        yield index
    finally:
        await index.close()


async def _forget_deleted(folder: Path, state: State) -> None:
    """Delete what is there of collections that others deleted while this slot was unused."""
    kept = await _folders(state)
    await asyncio.to_thread(_delete_others, folder, kept)


async def _folders(state: State) -> AbstractSet[tuple[str, str]]:
    """The folders of all collections: the tenant's, and the collection's in it."""
    found: set[tuple[str, str]] = set()
    after: Cursor | None = None
    async with state.snapshot(EVERY_TENANT) as view:
        while True:
            rows = await view.knowledge.collections(_PAGE, after)
            for row in rows:
                key = row.index_key
                found.add((folder_name(key.tenant), folder_name(key.name)))
            if len(rows) < _PAGE:
                return found
            after = Cursor(rows[-1].key.name, rows[-1].key.tenant)


def _delete_others(folder: Path, kept: AbstractSet[tuple[str, str]]) -> None:
    for place in folder.glob("*/*"):
        if place.is_dir() and (place.parent.name, place.name) not in kept:
            shutil.rmtree(place)
