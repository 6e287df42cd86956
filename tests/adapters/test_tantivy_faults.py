"""A keyword index whose files were changed, cut or killed is right, or begins anew."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.keywords.tantivy_index import TantivyKeywordIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import EVERYTHING, CollectionKey, Filter
from core.ports.indexes import IndexChange, KeywordIndex
from fakes.index_logs import COMMON_WORDS, index_log, up_to
from fakes.keyword_index import FakeKeywordIndex
from fakes.killed_writers import LOG_LENGTH, write_until_killed

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))
FOLDER = Path("acme", "handbook")
FILTERS = [EVERYTHING, Filter({"kind": frozenset("xy")})]


async def contents(index: KeywordIndex) -> list[set[ChunkId]]:
    """Which chunks have which words, through filters too."""
    return [
        {hit.chunk for hit in await index.search(KEY, word, 1000, where=where)}
        for word in COMMON_WORDS
        for where in FILTERS
    ]


async def expected(log: list[IndexChange], position: Position) -> FakeKeywordIndex:
    fake = FakeKeywordIndex()
    await fake.apply(KEY, up_to(log, position))
    return fake


async def is_what_the_log_says(index: KeywordIndex, log: list[IndexChange]) -> bool:
    """Whether each chunk is there with the text of its last change, and no other is."""
    fake = await expected(log, await index.position(KEY))
    own = [chunk.text.split()[-1] for chunk in fake.contents(KEY).values()]
    found = [await index.search(KEY, word, 5) for word in own]
    return await contents(index) == await contents(fake) and [
        [hit.chunk for hit in hits] for hits in found
    ] == [[name] for name in fake.contents(KEY)]


@pytest.mark.slow
async def test_twenty_kills_in_a_row_lose_nothing_that_was_taken_over(tmp_path: Path) -> None:
    seed = 21
    log = index_log(seed, LOG_LENGTH)
    draw = random.Random(seed)
    reached = 0
    for _ in range(20):
        told = await write_until_killed("tantivy", tmp_path, seed, draw.uniform(0, 0.3))
        index = TantivyKeywordIndex(tmp_path)
        with capture_logs() as logs:
            stood = await index.position(KEY)
        assert logs == []
        assert stood in {0, *(change.position for change in log)}
        assert stood >= max(told, reached)
        assert await is_what_the_log_says(index, log)
        await index.close()
        reached = stood
    assert reached > 0


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


LOG = index_log(seed=8, length=5)


async def written(folder: Path) -> dict[Path, bytes]:
    """The files after the log."""
    index = TantivyKeywordIndex(folder)
    await index.apply(KEY, LOG[:3])
    await index.apply(KEY, LOG[3:])
    await index.close()
    return {
        file: file.read_bytes()
        for file in sorted((folder / FOLDER).iterdir())
        if not file.name.endswith(".lock")
    }


def restore(files: dict[Path, bytes], changed: Path, content: bytes) -> None:
    """The folder as it was, but for one file."""
    changed.parent.mkdir(parents=True, exist_ok=True)
    for file in changed.parent.iterdir():
        file.unlink()
    for file, whole in files.items():
        file.write_bytes(content if file == changed else whole)


async def is_right(folder: Path, *, goes_on: bool = False) -> bool:
    """Whether it holds all; if not it must be empty and say so, and can take the log again."""
    index = TantivyKeywordIndex(folder)
    with capture_logs() as logs:
        stood = await index.position(KEY)
    assert stood in {0, LOG[-1].position}
    assert bool(logs) == (stood == 0)
    assert await is_what_the_log_says(index, LOG)
    if goes_on:
        await index.apply(KEY, LOG)
        assert await index.position(KEY) == LOG[-1].position
        assert await is_what_the_log_says(index, LOG)
    await index.close()
    return stood > 0


def places(length: int, count: int) -> range:
    """Places in a file, spread over it."""
    return range(0, length, max(length // count, 1))


async def test_a_changed_bit_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    files = await written(tmp_path)
    noticed = 0
    for file, whole in files.items():
        for place in places(len(whole), 12):
            broken = bytearray(whole)
            broken[place] ^= 1 << (place % 8)
            restore(files, file, bytes(broken))
            noticed += not await is_right(tmp_path, goes_on=place == 0)
    assert noticed > len(files)


async def test_a_cut_file_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    files = await written(tmp_path)
    for file, whole in files.items():
        for length in places(len(whole), 5):
            restore(files, file, whole[:length])
            await is_right(tmp_path, goes_on=length == 0)


async def test_a_missing_file_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    files = await written(tmp_path)
    for file in files:
        restore(files, file, b"")
        file.unlink()
        index = TantivyKeywordIndex(tmp_path)
        assert await index.position(KEY) in {0, LOG[-1].position}
        assert await is_what_the_log_says(index, LOG)
        await index.close()


async def test_a_drop_that_was_cut_short_is_ended(tmp_path: Path) -> None:
    await written(tmp_path)
    tenant_folder = (tmp_path / FOLDER).parent
    (tmp_path / FOLDER).rename(tenant_folder / "~dropped")
    index = TantivyKeywordIndex(tmp_path)
    assert await index.position(KEY) == 0
    assert names_in(tenant_folder) == []
    await index.close()


async def test_a_folder_that_was_never_committed_to_is_empty(tmp_path: Path) -> None:
    files = await written(tmp_path)
    restore({}, next(iter(files)), b"")
    index = TantivyKeywordIndex(tmp_path)
    assert await index.position(KEY) == 0
    await index.apply(KEY, LOG)
    assert await is_what_the_log_says(index, LOG)
    await index.close()
