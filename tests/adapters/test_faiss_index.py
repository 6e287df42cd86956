"""What the FAISS index adds to its port: one writer, bounded memory, safe folders, packing."""

from __future__ import annotations

import asyncio
import math
import random
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from adapters.vectors.faiss_index import FaissVectorIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import CollectionKey
from core.ports.indexes import IndexChange, IndexedChunk, IndexInUse

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))
ONE = memoryview(array("f", [1.0]))


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[FaissVectorIndex]:
    opened = FaissVectorIndex(tmp_path / "index", garbage_bytes=20_000, resident_bytes=100_000)
    yield opened
    await opened.close()


def chunks(count: int, vector: memoryview = ONE) -> tuple[IndexedChunk, ...]:
    return tuple(IndexedChunk(ChunkId(f"c{number}"), "", (vector,)) for number in range(count))


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def journals(folder: Path) -> list[Path]:
    return list(folder.rglob("*.journal"))


async def test_a_folder_has_one_index_at_a_time(index: FaissVectorIndex, tmp_path: Path) -> None:
    with pytest.raises(IndexInUse, match="in use"):
        FaissVectorIndex(tmp_path / "index")
    await index.close()
    await FaissVectorIndex(tmp_path / "index").close()


async def test_results_are_those_of_exact_search(index: FaissVectorIndex) -> None:
    numbers = np.random.default_rng(3)
    vectors = numbers.standard_normal((3000, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.split(vectors, 1000)
    chunks = [
        IndexedChunk(ChunkId(f"c{number:03}"), "", tuple(map(memoryview, group)))
        for number, group in enumerate(groups)
    ]
    await index.apply(KEY, [IndexChange(Position(1), (), tuple(chunks))])
    await index.apply(KEY, [IndexChange(Position(2), tuple(chunk.id for chunk in chunks[::2]))])
    for query in vectors[::500]:
        cosines = [float((group.astype(np.float64) @ query).max()) for group in groups[1::2]]
        best = sorted(zip(cosines, (c.id for c in chunks[1::2]), strict=True), reverse=True)[:50]
        hits = await index.search(KEY, memoryview(query), 50)
        assert [hit.chunk for hit in hits] == [name for _, name in best]
        assert [hit.score for hit in hits] == pytest.approx([c for c, _ in best], abs=1e-6)


async def test_files_stay_in_the_folder_whatever_the_names(
    index: FaissVectorIndex, tmp_path: Path
) -> None:
    for tenant in ("..", "/etc", "a\0b", "x" * 5000, "CON", "é", "\ud800"):
        key = CollectionKey(TenantId(tenant), CollectionName(tenant))
        await index.apply(key, [IndexChange(Position(1), (), chunks(1))])
        assert await index.position(key) == 1
    assert names_in(tmp_path) == ["index"]
    assert len(journals(tmp_path)) == 7


async def test_a_dropped_collection_leaves_no_file(index: FaissVectorIndex, tmp_path: Path) -> None:
    await index.apply(KEY, [IndexChange(Position(1), (), chunks(1))])
    await index.drop(KEY)
    assert names_in(tmp_path / "index") == [".lock"]


async def test_asking_for_unknown_collections_leaves_nothing_behind(
    index: FaissVectorIndex, tmp_path: Path
) -> None:
    assert await index.search(KEY, ONE, 5) == []
    assert names_in(tmp_path / "index") == [".lock"]


@pytest.mark.parametrize(
    "wrong",
    [
        memoryview(array("f", [math.nan, 1.0])),
        memoryview(array("f", [math.inf, 1.0])),
        memoryview(array("d", [1.0, 0.0])),
        memoryview(b"\0\0\0\0"),
        memoryview(array("f", [])),
    ],
    ids=["nan", "infinite", "doubles", "bytes", "empty"],
)
async def test_what_is_no_vector_is_refused_before_anything_is_written(
    index: FaissVectorIndex, wrong: memoryview
) -> None:
    bad = IndexedChunk(ChunkId("bad"), "", (wrong,))
    with pytest.raises(ValueError, match="a vector"):
        await index.apply(
            KEY, [IndexChange(Position(1), (), chunks(1)), IndexChange(Position(2), (), (bad,))]
        )
    assert await index.position(KEY) == 0
    with pytest.raises(ValueError, match="a vector"):
        await index.search(KEY, wrong, 5)


async def test_a_file_holds_little_of_what_is_gone(index: FaissVectorIndex, tmp_path: Path) -> None:
    vector = memoryview(array("f", [1.0] + [0.0] * 99))
    for position in range(1, 60):
        await index.apply(KEY, [IndexChange(Position(position), (), chunks(20, vector))])
        live = 20 * (vector.nbytes + 50)
        assert sum(file.stat().st_size for file in journals(tmp_path)) < 2 * live + 20_000
    assert len(await index.search(KEY, vector, 100)) == 20


async def test_a_file_of_removals_alone_is_packed_too(
    index: FaissVectorIndex, tmp_path: Path
) -> None:
    for start in range(1, 3000, 100):
        changes = [IndexChange(Position(start + n), (ChunkId("gone"),)) for n in range(100)]
        await index.apply(KEY, changes)
    assert await index.position(KEY) == 3000
    assert sum(file.stat().st_size for file in journals(tmp_path)) < 30_000


async def test_collections_beyond_the_memory_are_put_out_and_found_again(
    index: FaissVectorIndex,
) -> None:
    vector = memoryview(array("f", [1.0] + [0.0] * 499))
    keys = [CollectionKey(TenantId(f"t{number}"), CollectionName("c")) for number in range(5)]
    for number, key in enumerate(keys, 1):
        await index.apply(key, [IndexChange(Position(number), (), chunks(number, vector))])
    draw = random.Random(1)
    for number in draw.choices(range(5), k=30):
        hits = await index.search(keys[number], vector, 99)
        assert len(hits) == await index.position(keys[number]) == number + 1


async def test_a_cancelled_apply_is_whole_or_not_there(
    index: FaissVectorIndex, tmp_path: Path
) -> None:
    for position in range(1, 30):
        change = IndexChange(Position(position), (), chunks(50))
        task = asyncio.create_task(index.apply(KEY, [change]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await index.apply(KEY, [change])
        assert await index.position(KEY) == position
        assert len(await index.search(KEY, ONE, 99)) == 50


async def test_a_full_disk_while_packing_costs_nothing(
    index: FaissVectorIndex, tmp_path: Path
) -> None:
    vector = memoryview(array("f", [1.0] + [0.0] * 99))
    await index.apply(KEY, [IndexChange(Position(1), (), chunks(20, vector))])
    folder = journals(tmp_path)[0].parent
    (folder / "vectors.new").mkdir()  # the file that packing writes cannot be made
    with capture_logs() as logs:
        for position in range(2, 20):
            await index.apply(KEY, [IndexChange(Position(position), (), chunks(20, vector))])
    assert "vector index not packed" in {entry["event"] for entry in logs}
    assert len(await index.search(KEY, vector, 100)) == 20
    (folder / "vectors.new").rmdir()
    await index.apply(KEY, [IndexChange(Position(20), (), chunks(20, vector))])
    assert journals(tmp_path)[0].stat().st_size < 20_000


async def test_after_close_calls_are_refused(index: FaissVectorIndex) -> None:
    await index.apply(KEY, [IndexChange(Position(1), (), chunks(1))])
    await index.close()
    with pytest.raises(RuntimeError):
        await index.search(KEY, ONE, 1)
