"""A process that is killed while it writes a FAISS index leaves one that is right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.vectors.faiss_index import FaissVectorIndex
from core.identifiers import CollectionName, TenantId
from core.knowledge import CollectionKey
from fakes.index_logs import axis, index_log, up_to
from fakes.killed_writers import LOG_LENGTH, write_until_killed
from fakes.vector_index import FakeVectorIndex

KEY = CollectionKey(TenantId("acme"), CollectionName("handbook"))
SEED = 20


@pytest.mark.slow
async def test_twenty_kills_in_a_row_lose_nothing_that_was_taken_over(tmp_path: Path) -> None:
    log = index_log(SEED, LOG_LENGTH)
    positions = {0, *(change.position for change in log)}
    draw = random.Random(SEED)
    reached = 0
    for _ in range(20):
        told = await write_until_killed("faiss", tmp_path, SEED, draw.uniform(0, 0.06))
        index, fake = FaissVectorIndex(tmp_path), FakeVectorIndex()
        stood = await index.position(KEY)
        assert stood in positions
        assert stood >= max(told, reached)
        await fake.apply(KEY, up_to(log, stood))
        for direction in range(4):
            query = axis(direction)
            assert await index.search(KEY, query, 1000) == await fake.search(KEY, query, 1000)
        await index.close()
        reached = stood
    assert reached > log[20].position
