"""A writer that is opened anew: nothing that it deletes may come back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tantivy import Query

from adapters.keywords.open_index import OpenIndex
from core.identifiers import ChunkId, Position
from core.knowledge import EVERYTHING
from core.ports.indexes import IndexChange, IndexedChunk


def chunk(number: int) -> IndexedChunk:
    return IndexedChunk(ChunkId(f"chunk-{number}"), f"entry {number} of the register", ())


def change(position: int, removed: list[int], added: list[int]) -> IndexChange:
    return IndexChange(
        Position(position),
        tuple(ChunkId(f"chunk-{number}") for number in removed),
        tuple(chunk(number) for number in added),
    )


def test_its_first_operation_has_a_number_of_its_own(tmp_path: Path) -> None:
    """One with the number of the last commit would be lost on segments that are being merged."""
    index = OpenIndex(tmp_path)
    index.apply([change(1, [], [1])])
    index.rest()
    writer = index._open_writer()
    committed = writer.commit_opstamp
    assert writer.delete_documents_by_query(Query.empty_query()) > committed


@pytest.mark.parametrize("seed", [8, 18])
def test_what_is_deleted_stays_deleted_however_often_it_is_opened(
    tmp_path: Path, seed: int
) -> None:
    """Small commits by writers that live for one each: merges are always under way."""
    draw = random.Random(seed)
    index, alive, made = OpenIndex(tmp_path), [0], 0
    index.apply([change(1, [], [0])])
    for position in range(2, 45):
        removed = [alive.pop(draw.randrange(len(alive)))] if len(alive) > 5 else []
        added = [made + 1 + more for more in range(draw.randrange(1, 3))]
        made += len(added)
        alive += added
        index.apply([change(position, removed, added)])  # raises where a chunk is too many
        index._writer = None
    found = {hit.chunk for hit in index.search("register", 1000, EVERYTHING)}
    assert found == {ChunkId(f"chunk-{number}") for number in alive}
