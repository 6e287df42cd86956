"""What the tantivy index adds to its port: one writer, released when it rests; safe folders."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.keywords.tantivy_index import TantivyKeywordIndex
from core.identifiers import ChunkId, CollectionName, Position, Seconds, TenantId
from core.knowledge import CollectionKey
from core.ports.indexes import IndexChange, IndexedChunk, IndexInUse

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[TantivyKeywordIndex]:
    opened = TantivyKeywordIndex(tmp_path / "index", open_collections=2)
    yield opened
    await opened.close()


def change(position: int, *names: str) -> IndexChange:
    chunks = (IndexedChunk(ChunkId(name), f"valve {name}", ()) for name in names)
    return IndexChange(Position(position), (), tuple(chunks))


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def threads() -> int:
    return len(names_in(Path("/proc/self/task")))


async def found(index: TantivyKeywordIndex, key: CollectionKey = KEY) -> list[str]:
    return [hit.chunk for hit in await index.search(key, "valve", 100)]


async def test_a_second_writer_is_refused_until_the_first_has_closed(
    index: TantivyKeywordIndex, tmp_path: Path
) -> None:
    await index.apply(KEY, [change(1, "a")])
    other = TantivyKeywordIndex(tmp_path / "index")
    with pytest.raises(IndexInUse, match="in use"):
        await other.apply(KEY, [change(2, "b")])
    await index.apply(KEY, [change(2, "b", "c")])
    await index.close()
    await other.apply(KEY, [change(2, "late"), change(3, "d")])
    assert await found(other) == ["a", "b", "c", "d"]
    await other.close()


async def test_a_writer_that_rests_lets_the_index_go(tmp_path: Path) -> None:
    index = TantivyKeywordIndex(tmp_path, writer_rest=Seconds(0.01))
    await index.apply(KEY, [change(1, "a")])
    other = TantivyKeywordIndex(tmp_path)
    async with asyncio.timeout(10):
        while await other.position(KEY) < 2:
            try:
                await other.apply(KEY, [change(2, "b")])
            except IndexInUse:
                await asyncio.sleep(0.01)
    await other.close()
    await index.apply(KEY, [change(2, "late"), change(3, "c")])
    assert await found(index) == ["a", "b", "c"]
    await index.close()


async def test_what_is_closed_takes_its_threads_along(tmp_path: Path) -> None:
    """Tantivy has one an open index and some for a writer; the first look up every half second."""
    before = threads()
    for _ in range(3):
        index = TantivyKeywordIndex(tmp_path)
        for number in range(3):
            key = CollectionKey(KEY.tenant, CollectionName(f"c{number}"))
            await index.apply(key, [change(1, "a")])
            assert await found(index, key) == ["a"]
        await index.close()
    async with asyncio.timeout(20):
        while threads() > before + 2:  # noqa: ASYNC110 - nobody tells when a thread has ended
            await asyncio.sleep(0.05)


async def test_collections_beyond_the_number_are_closed_and_found_again(
    index: TantivyKeywordIndex,
) -> None:
    keys = [CollectionKey(TenantId(f"t{number}"), CollectionName("c")) for number in range(4)]
    for position in (1, 2):
        for key in keys:
            await index.apply(key, [change(position, f"{key.tenant}-{position}")])
    for key in keys:
        assert await found(index, key) == [f"{key.tenant}-1", f"{key.tenant}-2"]


async def test_files_stay_in_the_folder_whatever_the_names(
    index: TantivyKeywordIndex, tmp_path: Path
) -> None:
    for tenant in ("..", "/etc", "a\0b", "x" * 5000, "\ud800"):
        key = CollectionKey(TenantId(tenant), CollectionName(tenant))
        await index.apply(key, [change(1, "a")])
        assert await found(index, key) == ["a"]
    assert names_in(tmp_path) == ["index"]
    assert len(names_in(tmp_path / "index")) == 5


async def test_a_dropped_collection_leaves_no_file(
    index: TantivyKeywordIndex, tmp_path: Path
) -> None:
    await index.apply(KEY, [change(1, "a")])
    await index.drop(KEY)
    assert names_in(tmp_path / "index") == []
    assert await found(index) == []
    assert names_in(tmp_path / "index") == []


async def test_what_cannot_be_written_is_not_there_and_is_taken_later(
    index: TantivyKeywordIndex, tmp_path: Path
) -> None:
    await index.apply(KEY, [change(1, "a")])
    shutil.rmtree(tmp_path / "index" / "acme")
    with pytest.raises(OSError, match="keyword index"):
        await index.apply(KEY, [change(2, "b")])
    assert await index.position(KEY) == 0
    await index.apply(KEY, [change(1, "a"), change(2, "b")])
    assert await found(index) == ["a", "b"]


async def test_a_cancelled_apply_is_whole_or_not_there(index: TantivyKeywordIndex) -> None:
    for position in range(1, 8):
        changes = [change(position, f"c{position}")]
        task = asyncio.create_task(index.apply(KEY, changes))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await index.apply(KEY, changes)
        assert len(await found(index)) == await index.position(KEY) == position


async def test_after_close_calls_are_refused(index: TantivyKeywordIndex) -> None:
    await index.apply(KEY, [change(1, "a")])
    await index.close()
    with pytest.raises(RuntimeError):
        await index.search(KEY, "valve", 1)
