"""The FAISS index does what the fake does, through any calls in any order."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.vectors.faiss_index import FaissVectorIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import CollectionKey, Filter
from core.ports.indexes import IndexChange, IndexedChunk
from fakes.index_logs import axis
from fakes.vector_index import FakeVectorIndex

# Names whose folders would meet, or lie elsewhere, if they were taken as they are.
KEYS = [
    CollectionKey(TenantId(tenant), CollectionName(name))
    for tenant, name in [("a", "b"), ("A", "b"), ("a/b", ".."), ("a", "%62")]
]
names = st.sampled_from([ChunkId(name) for name in "abcdefgh"])
vectors = st.lists(st.integers(0, 7).map(axis), max_size=3).map(tuple)
attributes = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
chunks = st.builds(IndexedChunk, names, st.just(""), vectors, attributes)
filters = st.dictionaries(
    st.sampled_from("xy"), st.frozensets(st.sampled_from("12"), max_size=2), max_size=2
).map(Filter)
steps = st.lists(
    st.tuples(st.integers(0, 3), st.lists(names, max_size=3), st.lists(chunks, max_size=5)),
    min_size=1,
    max_size=4,
)
Steps: TypeAlias = list[tuple[int, list[ChunkId], list[IndexedChunk]]]


class FaissAgainstFake(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.index = self.opened()
        self.fake = FakeVectorIndex()

    def opened(self) -> FaissVectorIndex:
        return FaissVectorIndex(Path(self.folder.name), resident_bytes=3000, garbage_bytes=500)

    @rule(key=st.sampled_from(KEYS), steps=steps)
    def apply(self, key: CollectionKey, steps: Steps) -> None:
        """Steps of 0 repeat a position that is taken already."""
        position = self.runner.run(self.fake.position(key))
        changes: list[IndexChange] = []
        for step, removed, added in steps:
            position = Position(position + step)
            changes.append(IndexChange(position, tuple(removed), tuple(added)))
        for index in (self.index, self.fake):
            self.runner.run(index.apply(key, changes))

    @rule(key=st.sampled_from(KEYS))
    def drop(self, key: CollectionKey) -> None:
        for index in (self.index, self.fake):
            self.runner.run(index.drop(key))

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.index.close())
        self.index = self.opened()

    @rule(direction=st.integers(0, 7), limit=st.integers(0, 10), where=filters)
    def search(self, direction: int, limit: int, where: Filter) -> None:
        for key in KEYS:
            one, other = (
                self.runner.run(index.search(key, axis(direction), limit, where=where))
                for index in (self.index, self.fake)
            )
            assert one == other

    @invariant()
    def positions_agree(self) -> None:
        for key in KEYS:
            one, other = (self.runner.run(i.position(key)) for i in (self.index, self.fake))
            assert one == other

    def teardown(self) -> None:
        self.runner.run(self.index.close())
        self.runner.close()
        self.folder.cleanup()


TestFaissAgainstFake = FaissAgainstFake.TestCase
TestFaissAgainstFake.settings = settings(max_examples=25, stateful_step_count=25)
