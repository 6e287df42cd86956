"""Opens the two derived indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from colonnaded.data_directory import DataDirectory
from colonnaded.settings import Settings
from core.ports.indexes import KeywordIndex, VectorIndex


async def open_vector_index(settings: Settings, data: DataDirectory) -> AsyncIterator[VectorIndex]:
    """The index by meaning. Collections are loaded when they are first asked for."""
    from adapters.vectors.faiss_index import FaissVectorIndex

    del settings
    index = FaissVectorIndex(data.vectors)
    try:
        yield index
    finally:
        await index.close()


async def open_keyword_index(
    settings: Settings, data: DataDirectory
) -> AsyncIterator[KeywordIndex]:
    """The index by words. Collections are loaded when they are first asked for."""
    from adapters.keywords.tantivy_index import TantivyKeywordIndex

    del settings
    index = TantivyKeywordIndex(data.keywords)
    try:
        yield index
    finally:
        await index.close()
