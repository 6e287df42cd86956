"""FAISS index files that were cut or changed give an earlier position, never a wrong result."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.vectors.faiss_index import FaissVectorIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import CollectionKey, Filter
from core.ports.indexes import Hit, IndexChange, IndexedChunk, VectorIndex
from fakes.index_logs import axis, index_log, up_to
from fakes.vector_index import FakeVectorIndex

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))
FILE = Path("acme", "handbook", "vectors.journal")
LOG = index_log(seed=7, length=6)


async def contents(index: VectorIndex) -> list[list[Hit]]:
    """All that searches show, from several directions and through a filter."""
    filtered = Filter({"kind": frozenset("xy")})
    hits = [await index.search(KEY, axis(direction), 1000) for direction in range(3)]
    return [*hits, await index.search(KEY, axis(0), 1000, where=filtered)]


async def expected(log: list[IndexChange], position: Position) -> list[list[Hit]]:
    fake = FakeVectorIndex()
    await fake.apply(KEY, up_to(log, position))
    return await contents(fake)


async def journal(folder: Path, log: list[IndexChange]) -> bytes:
    """The file after the log."""
    index = FaissVectorIndex(folder)
    for change in log:
        await index.apply(KEY, [change])
    await index.close()
    return (folder / FILE).read_bytes()


async def reopened(folder: Path, content: bytes) -> Position:
    """Where an index with this file stands; what it shows must be what the log says so far."""
    (folder / FILE).write_bytes(content)
    index = FaissVectorIndex(folder)
    stood = await index.position(KEY)
    assert await contents(index) == await expected(LOG, stood)
    await index.close()
    return stood


async def goes_on(folder: Path) -> None:
    """It takes the rest of the log, and holds all of it, also after the next opening."""
    index = FaissVectorIndex(folder)
    await index.apply(KEY, LOG)
    await index.close()
    assert await reopened(folder, (folder / FILE).read_bytes()) == LOG[-1].position


async def test_a_journal_cut_at_any_byte_holds_the_changes_before_the_cut(tmp_path: Path) -> None:
    whole = await journal(tmp_path, LOG)
    stood: list[int] = []
    for length in range(len(whole)):
        stood.append(await reopened(tmp_path, whole[:length]))
        if length % 32 == 0:
            await goes_on(tmp_path)
    assert stood == sorted(stood)
    assert set(stood) == {0, *(change.position for change in LOG[:-1])}


async def test_a_changed_bit_in_any_byte_costs_changes_and_nothing_else(tmp_path: Path) -> None:
    whole = await journal(tmp_path, LOG)
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        with capture_logs() as logs:
            stood = await reopened(tmp_path, bytes(broken))
        assert stood in {0, *(change.position for change in LOG[:-1])}
        assert [(entry["log_level"], entry["position"]) for entry in logs] == [("warning", stood)]
        if place % 32 == 0:
            await goes_on(tmp_path)


@pytest.mark.parametrize(
    "tail", [bytes(64), b"\xff" * 64, b"colonnade vectors 1\n"], ids=["zeros", "ones", "format"]
)
async def test_what_follows_the_last_record_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    whole = await journal(tmp_path, LOG[:4])
    assert await reopened(tmp_path, whole + tail) == LOG[3].position
    await goes_on(tmp_path)


async def test_a_file_of_another_format_is_built_anew(tmp_path: Path) -> None:
    whole = await journal(tmp_path, LOG)
    assert await reopened(tmp_path, whole.replace(b"vectors 1", b"vectors 0")) == 0
    await goes_on(tmp_path)


async def test_a_part_of_a_packed_journal_is_nothing(tmp_path: Path) -> None:
    """It begins with several records that are one state together."""
    vector = memoryview(array("f", [1.0] + [0.0] * 255))
    chunks = tuple(IndexedChunk(ChunkId(f"c{n}"), "", (vector,)) for n in range(1200))
    whole = await journal(tmp_path, [IndexChange(Position(p), (), chunks) for p in (1, 2, 3)])
    assert len(whole) < 1.1 * len(chunks) * vector.nbytes
    for length in range(0, len(whole), len(whole) // 20):
        (tmp_path / FILE).write_bytes(whole[:length])
        index = FaissVectorIndex(tmp_path)
        assert await index.position(KEY) == 0
        assert await index.search(KEY, vector, 10) == []
        await index.close()
    (tmp_path / FILE).write_bytes(whole)
    index = FaissVectorIndex(tmp_path)
    assert await index.position(KEY) == 3
    assert len(await index.search(KEY, vector, 5000)) == len(chunks)
    await index.close()


async def test_what_a_packing_left_half_written_is_not_looked_at(tmp_path: Path) -> None:
    whole = await journal(tmp_path, LOG)
    (tmp_path / FILE).with_suffix(".new").write_bytes(whole[: len(whole) // 2])
    assert await reopened(tmp_path, whole) == LOG[-1].position
    assert [file.name for file in (tmp_path / FILE).parent.iterdir()] == [FILE.name]
