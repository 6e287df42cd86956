"""What every vector index keeps, whatever it is made of."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.vectors.faiss_index import FaissVectorIndex
from core.identifiers import ChunkId, CollectionName, Position, TenantId
from core.knowledge import EVERYTHING, CollectionKey, Filter
from core.ports.indexes import DimensionMismatch, IndexChange, IndexedChunk, VectorIndex
from fakes.vector_index import FakeVectorIndex

HANDBOOK = CollectionKey(TenantId("acme"), CollectionName("handbook"))


@dataclass(frozen=True)
class Implementation:
    """How to open one, and whether it outlives its process."""

    name: str
    open: Callable[[Path], VectorIndex]
    durable: bool

    def __str__(self) -> str:
        return self.name


IMPLEMENTATIONS = [
    Implementation("faiss", FaissVectorIndex, durable=True),
    Implementation("fake", lambda _: FakeVectorIndex(), durable=False),
]


@pytest.fixture(params=IMPLEMENTATIONS, ids=str)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    chosen: Implementation = request.param
    return chosen


@pytest.fixture
async def index(implementation: Implementation, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    opened = implementation.open(tmp_path / "index")
    yield opened
    await opened.close()


def vector(*values: float) -> memoryview:
    """The values, scaled to length 1."""
    length = math.sqrt(sum(value * value for value in values))
    return memoryview(array("f", [value / length for value in values]))


def chunk(name: str, *vectors: memoryview, **attributes: str) -> IndexedChunk:
    return IndexedChunk(ChunkId(name), "", vectors, attributes)


def change(position: int, *added: IndexedChunk, removed: tuple[str, ...] = ()) -> IndexChange:
    return IndexChange(Position(position), tuple(map(ChunkId, removed)), added)


async def found(
    index: VectorIndex, query: memoryview, limit: int = 10, where: Filter = EVERYTHING
) -> list[str]:
    return [hit.chunk for hit in await index.search(HANDBOOK, query, limit, where=where)]


def only(allowed: Mapping[str, str]) -> Filter:
    """The filter in which the allowed values of a name stand in one string."""
    return Filter({name: frozenset(values.split()) for name, values in allowed.items()})


EAST, NORTH, NORTH_EAST, WEST = vector(1, 0), vector(0, 1), vector(1, 1), vector(-1, 0)


class TestSearch:
    async def test_the_nearest_come_first_with_their_cosine(self, index: VectorIndex) -> None:
        chunks = [chunk("w", WEST), chunk("n", NORTH), chunk("ne", NORTH_EAST), chunk("e", EAST)]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        hits = await index.search(HANDBOOK, EAST, 10)
        assert [hit.chunk for hit in hits] == ["e", "ne", "n", "w"]
        assert [hit.score for hit in hits] == pytest.approx([1, math.sqrt(0.5), 0, -1], abs=1e-6)
        assert all(-1 <= hit.score <= 1 for hit in hits)

    async def test_ties_go_by_id_also_where_the_limit_cuts(self, index: VectorIndex) -> None:
        names = [f"c{number:02}" for number in range(40)]
        same = [chunk(name, EAST) for name in reversed(names)]
        await index.apply(HANDBOOK, [change(1, *same, chunk("z", NORTH))])
        assert await found(index, EAST, 40) == names
        assert await found(index, EAST, 7) == names[:7]

    async def test_a_chunk_scores_by_its_nearest_vector_and_is_found_once(
        self, index: VectorIndex
    ) -> None:
        many = chunk("many", WEST, NORTH, EAST, EAST, EAST)
        await index.apply(HANDBOOK, [change(1, many, chunk("one", NORTH_EAST), chunk("w", WEST))])
        hits = await index.search(HANDBOOK, EAST, 2)
        assert [hit.chunk for hit in hits] == ["many", "one"]
        assert hits[0].score == pytest.approx(1)

    async def test_a_chunk_without_vectors_is_never_found(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("none"), chunk("e", EAST))])
        assert await found(index, NORTH) == ["e"]
        await index.apply(HANDBOOK, [change(2, chunk("e"))])
        assert await found(index, NORTH) == []

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_no_limit_no_hits(self, index: VectorIndex, limit: int) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST))])
        assert await found(index, EAST, limit) == []

    async def test_an_unknown_collection_is_empty(self, index: VectorIndex) -> None:
        assert await found(index, EAST) == []
        assert await index.position(HANDBOOK) == 0

    async def test_a_query_of_other_dimensions_is_refused(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST))])
        with pytest.raises(DimensionMismatch):
            await index.search(HANDBOOK, vector(1, 0, 0), 10)
        await index.apply(HANDBOOK, [change(2, removed=("e",))])
        with pytest.raises(DimensionMismatch):
            await index.search(HANDBOOK, vector(1, 0, 0), 0)


class TestFilter:
    async def test_only_admitted_chunks_count_against_the_limit(self, index: VectorIndex) -> None:
        near = [chunk(f"near{number}", EAST, kind="draft") for number in range(20)]
        far = [chunk("far", WEST, kind="final"), chunk("mid", NORTH, kind="note")]
        await index.apply(HANDBOOK, [change(1, *near, *far, chunk("bare", EAST))])
        assert await found(index, EAST, 2, only({"kind": "final note"})) == ["mid", "far"]
        assert await found(index, EAST, 2, only({"kind": "other"})) == []
        assert len(await found(index, EAST, 30)) == 23

    async def test_all_conditions_hold_at_once(self, index: VectorIndex) -> None:
        chunks = [
            chunk("both", NORTH, kind="final", team="sre"),
            chunk("kind", EAST, kind="final", team="web"),
            chunk("team", EAST, kind="draft", team="sre"),
            chunk("half", EAST, kind="final"),
        ]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        assert await found(index, EAST, 9, only({"kind": "final", "team": "sre"})) == ["both"]

    async def test_names_and_values_are_not_confused(self, index: VectorIndex) -> None:
        chunks = [chunk("1", EAST, a="b=c"), chunk("2", EAST, **{"a=b": "c"}), chunk("3", EAST)]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        assert await found(index, EAST, 9, only({"a": "b=c"})) == ["1"]
        assert await found(index, EAST, 9, only({"a=b": "c"})) == ["2"]

    async def test_new_attributes_take_the_place_of_old_ones(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST, kind="draft"))])
        await index.apply(HANDBOOK, [change(2, chunk("e", EAST, kind="final"))])
        assert await found(index, EAST, 9, only({"kind": "draft"})) == []
        assert await found(index, EAST, 9, only({"kind": "final"})) == ["e"]


class TestChanges:
    async def test_a_removed_chunk_is_gone(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST), chunk("n", NORTH))])
        await index.apply(HANDBOOK, [change(2, removed=("e", "unknown"))])
        assert await found(index, EAST) == ["n"]
        assert await index.position(HANDBOOK) == 2

    async def test_an_added_chunk_takes_the_place_of_one_with_its_id(
        self, index: VectorIndex
    ) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", EAST, NORTH), chunk("b", NORTH))])
        await index.apply(HANDBOOK, [change(2, chunk("a", WEST))])
        assert await found(index, EAST) == ["b", "a"]

    async def test_what_goes_goes_before_what_comes(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", EAST))])
        await index.apply(HANDBOOK, [change(2, chunk("a", NORTH), removed=("a",))])
        hits = await index.search(HANDBOOK, NORTH, 1)
        assert hits[0].score == pytest.approx(1)

    async def test_changes_of_one_call_follow_each_other(self, index: VectorIndex) -> None:
        changes = [
            change(1, chunk("a", EAST), chunk("b", EAST)),
            change(4, removed=("a",)),
            change(9, chunk("b", NORTH)),
        ]
        await index.apply(HANDBOOK, changes)
        assert await found(index, EAST) == ["b"]
        assert await index.position(HANDBOOK) == 9

    async def test_a_repeat_does_nothing(self, index: VectorIndex) -> None:
        changes = [change(1, chunk("a", EAST)), change(2, chunk("b", NORTH), removed=("a",))]
        await index.apply(HANDBOOK, changes)
        await index.apply(HANDBOOK, changes)
        await index.apply(HANDBOOK, [change(2, chunk("late", EAST))])
        assert await found(index, EAST) == ["b"]
        assert await index.position(HANDBOOK) == 2

    async def test_a_change_of_nothing_moves_the_position(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [change(3)])
        assert await index.position(HANDBOOK) == 3
        await index.apply(HANDBOOK, [change(4, chunk("e", EAST))])
        assert await found(index, EAST) == ["e"]

    async def test_no_changes_change_nothing(self, index: VectorIndex) -> None:
        await index.apply(HANDBOOK, [])
        assert await index.position(HANDBOOK) == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            [change(2, chunk("n", NORTH)), change(3, chunk("bad", vector(1, 0, 0)))],
            [change(2, chunk("bad", NORTH, vector(1, 0, 0)))],
        ],
        ids=["in a later change", "within a chunk"],
    )
    async def test_other_dimensions_are_refused_and_nothing_is_taken(
        self, index: VectorIndex, wrong: list[IndexChange]
    ) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST))])
        with pytest.raises(DimensionMismatch):
            await index.apply(HANDBOOK, wrong)
        assert await index.position(HANDBOOK) == 1
        assert await found(index, EAST) == ["e"]


class TestCollections:
    async def test_a_collection_under_another_tenant_or_name_is_another(
        self, index: VectorIndex
    ) -> None:
        others = [
            CollectionKey(TenantId("Acme"), HANDBOOK.name),
            CollectionKey(HANDBOOK.tenant, CollectionName("Handbook")),
            CollectionKey(TenantId("../acme"), CollectionName("")),
            CollectionKey(TenantId("acme/handbook"), CollectionName("..")),
            CollectionKey(TenantId("公司"), CollectionName("手册" * 100)),
        ]
        await index.apply(HANDBOOK, [change(1, chunk("e", EAST))])
        for number, other in enumerate(others):
            assert await index.position(other) == 0
            await index.apply(other, [change(1, chunk(f"other{number}", EAST))])
        for number, other in enumerate(others):
            assert [h.chunk for h in await index.search(other, EAST, 9)] == [f"other{number}"]
        assert await found(index, EAST) == ["e"]

    async def test_a_dropped_collection_is_unknown_and_can_begin_anew(
        self, index: VectorIndex
    ) -> None:
        other = CollectionKey(HANDBOOK.tenant, CollectionName("other"))
        for key in (HANDBOOK, other):
            await index.apply(key, [change(5, chunk("e", EAST))])
        await index.drop(HANDBOOK)
        await index.drop(HANDBOOK)
        assert await index.position(HANDBOOK) == 0
        assert await found(index, EAST) == []
        await index.apply(HANDBOOK, [change(1, chunk("longer", vector(1, 0, 0)))])
        assert await found(index, vector(1, 0, 0)) == ["longer"]
        assert await index.position(other) == 5

    async def test_closing_twice_is_closing_once(self, index: VectorIndex) -> None:
        await index.close()
        await index.close()

    async def test_reopening_keeps_what_a_durable_one_has_taken(
        self, implementation: Implementation, tmp_path: Path
    ) -> None:
        first = implementation.open(tmp_path / "again")
        await first.apply(HANDBOOK, [change(1, chunk("a", EAST, kind="x"), chunk("b", NORTH))])
        await first.apply(HANDBOOK, [change(2, chunk("c", WEST, NORTH), removed=("b",))])
        await first.close()
        second = implementation.open(tmp_path / "again")
        kept = (await second.position(HANDBOOK), await found(second, EAST))
        assert kept == ((2, ["a", "c"]) if implementation.durable else (0, []))
        await second.close()


class TestConcurrency:
    async def test_a_search_sees_whole_changes_only(self, index: VectorIndex) -> None:
        """Each change replaces all chunks at once: a mixture would show two generations."""
        size, generations = 30, 25

        def generation(number: int) -> IndexChange:
            names = tuple(f"g{number - 1}-{i}" for i in range(size)) if number > 1 else ()
            chunks = [chunk(f"g{number}-{i}", EAST, NORTH) for i in range(size)]
            return change(number, *chunks, removed=names)

        await index.apply(HANDBOOK, [generation(1)])
        seen: list[set[str]] = []

        async def search() -> None:
            while await index.position(HANDBOOK) < generations:
                hits = await found(index, NORTH, 2 * size)
                assert len(hits) == size
                seen.append({name.split("-")[0] for name in hits})
                await asyncio.sleep(0)

        async def apply() -> None:
            for number in range(2, generations + 1):
                await index.apply(HANDBOOK, [generation(number)])
                await asyncio.sleep(0)

        await asyncio.gather(apply(), search(), search(), search())
        assert all(len(generation) == 1 for generation in seen)

    async def test_collections_that_change_at_once_stay_apart(self, index: VectorIndex) -> None:
        keys = [CollectionKey(TenantId(f"t{number}"), HANDBOOK.name) for number in range(5)]

        async def fill(key: CollectionKey) -> None:
            for position in range(1, 6):
                name = f"{key.tenant}-{position}"
                await index.apply(key, [change(position, chunk(name, EAST))])

        await asyncio.gather(*map(fill, keys))
        for key in keys:
            names = [hit.chunk for hit in await index.search(key, EAST, 99)]
            assert names == [f"{key.tenant}-{position}" for position in range(1, 6)]
