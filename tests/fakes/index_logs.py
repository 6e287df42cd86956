"""Change logs that an index can be put through, the same for the same seed."""

from __future__ import annotations

import random
from array import array

from core.identifiers import ChunkId, Position
from core.ports.indexes import IndexChange, IndexedChunk

DIMENSIONS = 4
COMMON_WORDS = ("anchor", "bridge", "canal", "dock", "estuary", "ferry", "gauge", "harbour")


def index_log(seed: int, length: int, *, chunk_names: int = 30) -> list[IndexChange]:
    """`length` changes that add, replace and remove; names come back, so that all of it counts.

    A chunk's text ends in a word of its own, which no other chunk of the log has.
    """
    draw = random.Random(seed)
    names = [ChunkId(f"chunk-{number}") for number in range(chunk_names)]
    changes: list[IndexChange] = []
    position = 0
    for _ in range(length):
        position += draw.choice((1, 1, 1, 3))
        removed = tuple(draw.sample(names, draw.randrange(3)))
        added = tuple(
            _chunk(draw, name, position) for name in draw.sample(names, draw.randrange(4))
        )
        changes.append(IndexChange(Position(position), removed, added))
    return changes


def up_to(log: list[IndexChange], position: Position) -> list[IndexChange]:
    """The changes that an index at `position` holds."""
    return [change for change in log if change.position <= position]


def axis(number: int) -> memoryview:
    """A unit vector, so that cosines are exact and often equal."""
    values = [0.0] * DIMENSIONS
    values[number % DIMENSIONS] = 1.0 if number < DIMENSIONS else -1.0
    return memoryview(array("f", values))


def own_word(name: ChunkId, position: int) -> str:
    """The word that only the text that chunk `name` got at `position` has."""
    return f"{name.replace('-', '')}at{position}"


def _chunk(draw: random.Random, name: ChunkId, position: int) -> IndexedChunk:
    vectors = tuple(axis(draw.randrange(2 * DIMENSIONS)) for _ in range(draw.randrange(1, 4)))
    words = [*draw.choices(COMMON_WORDS, k=draw.randrange(1, 12)), own_word(name, position)]
    return IndexedChunk(name, " ".join(words), vectors, {"kind": draw.choice("xyz")})
