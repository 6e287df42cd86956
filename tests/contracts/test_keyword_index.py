"""What every keyword index keeps, whatever it is made of; its words are in a suite beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.keyword_indexes import (
    HANDBOOK,
    IMPLEMENTATIONS,
    Implementation,
    change,
    chunk,
    found,
    only,
)
from core.identifiers import CollectionName, TenantId
from core.knowledge import CollectionKey
from core.ports.indexes import IndexChange, KeywordIndex


@pytest.fixture(params=IMPLEMENTATIONS, ids=str)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    chosen: Implementation = request.param
    return chosen


@pytest.fixture
async def index(implementation: Implementation, tmp_path: Path) -> AsyncIterator[KeywordIndex]:
    opened = implementation.open(tmp_path / "index")
    yield opened
    await opened.close()


class TestOrder:
    async def test_more_of_what_is_asked_comes_first(self, index: KeywordIndex) -> None:
        chunks = [
            chunk("once", "the pump stopped and the valve was closed by the crew"),
            chunk("twice", "the pump stopped and the pump was closed by the crew"),
            chunk("none", "the crew was closed and the valve stopped by the gauge"),
        ]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        assert await found(index, "pump") == ["twice", "once"]

    async def test_a_rare_word_outweighs_a_common_one(self, index: KeywordIndex) -> None:
        common = [chunk(f"common{number}", "restart the gateway") for number in range(9)]
        await index.apply(HANDBOOK, [change(1, *common, chunk("rare", "rotate the certificate"))])
        hits = await index.search(HANDBOOK, "gateway certificate", 10)
        assert hits[0].chunk == "rare"
        assert len(hits) == 10
        assert hits[0].score > hits[1].score > 0

    async def test_a_short_text_comes_before_a_long_one(self, index: KeywordIndex) -> None:
        long = "rotate " + " ".join(f"word{number}" for number in range(100))
        await index.apply(HANDBOOK, [change(1, chunk("a", long), chunk("b", "rotate keys"))])
        assert await found(index, "rotate") == ["b", "a"]

    async def test_ties_go_by_id_also_where_the_limit_cuts(self, index: KeywordIndex) -> None:
        names = [f"c{number:03}" for number in range(150)]
        for position, part in enumerate((names[1::2], names[0::2]), 1):
            same = [chunk(name, "close the valve") for name in reversed(part)]
            await index.apply(HANDBOOK, [change(position, *same)])
        await index.apply(HANDBOOK, [change(3, chunk("z", "valve valve valve"))])
        assert await found(index, "valve", 200) == ["z", *names]
        assert await found(index, "valve", 7) == ["z", *names[:6]]

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_no_limit_no_hits(self, index: KeywordIndex, limit: int) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve"))])
        assert await found(index, "valve", limit) == []


class TestFilter:
    async def test_only_admitted_chunks_count_against_the_limit(self, index: KeywordIndex) -> None:
        near = [chunk(f"near{number}", "valve valve", kind="draft") for number in range(20)]
        far = [
            chunk("far", "a valve in a long sentence about pumps", kind="final"),
            chunk("mid", "valve and pumps", kind="note"),
            chunk("other", "nothing of it", kind="final"),
        ]
        await index.apply(HANDBOOK, [change(1, *near, *far, chunk("bare", "valve"))])
        assert await found(index, "valve", 2, only({"kind": "final note"})) == ["mid", "far"]
        assert await found(index, "valve", 2, only({"kind": "unknown"})) == []
        assert await found(index, "valve", 2, only({"kind": ""})) == []
        assert len(await found(index, "valve", 30)) == 23

    async def test_a_filter_does_not_change_scores(self, index: KeywordIndex) -> None:
        await index.apply(
            HANDBOOK, [change(1, chunk("a", "valve", kind="x"), chunk("b", "pump", kind="y"))]
        )
        free = await index.search(HANDBOOK, "valve", 5)
        assert await index.search(HANDBOOK, "valve", 5, where=only({"kind": "x"})) == free

    async def test_all_conditions_hold_at_once(self, index: KeywordIndex) -> None:
        chunks = [
            chunk("both", "valve", kind="final", team="sre"),
            chunk("kind", "valve", kind="final", team="web"),
            chunk("team", "valve", kind="draft", team="sre"),
            chunk("half", "valve", kind="final"),
        ]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        assert await found(index, "valve", 9, only({"kind": "final", "team": "sre"})) == ["both"]

    async def test_names_and_values_are_not_confused(self, index: KeywordIndex) -> None:
        long = "v" * 100_000
        chunks = [
            chunk("1", "valve", a="b=c"),
            chunk("2", "valve", **{"a=b": "c"}),
            chunk("3", "valve", a=long),
            chunk("4", "valve", a=long + "!"),
        ]
        await index.apply(HANDBOOK, [change(1, *chunks)])
        assert await found(index, "valve", 9, only({"a": "b=c"})) == ["1"]
        assert await found(index, "valve", 9, only({"a=b": "c"})) == ["2"]
        assert await found(index, "valve", 9, only({"a": long})) == ["3"]

    async def test_new_attributes_take_the_place_of_old_ones(self, index: KeywordIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve", kind="draft"))])
        await index.apply(HANDBOOK, [change(2, chunk("a", "valve", kind="final"))])
        assert await found(index, "valve", 9, only({"kind": "draft"})) == []
        assert await found(index, "valve", 9, only({"kind": "final"})) == ["a"]


class TestChanges:
    async def test_a_removed_chunk_is_gone(self, index: KeywordIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve"), chunk("b", "valve"))])
        await index.apply(HANDBOOK, [change(2, removed=("a", "unknown"))])
        assert await found(index, "valve") == ["b"]
        assert await index.position(HANDBOOK) == 2

    async def test_an_added_chunk_takes_the_place_of_one_with_its_id(
        self, index: KeywordIndex
    ) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve"))])
        await index.apply(HANDBOOK, [change(2, chunk("a", "pump"))])
        assert await found(index, "valve") == []
        assert await found(index, "pump") == ["a"]

    async def test_what_goes_goes_before_what_comes(self, index: KeywordIndex) -> None:
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve"))])
        await index.apply(HANDBOOK, [change(2, chunk("a", "pump"), removed=("a",))])
        assert await found(index, "valve pump") == ["a"]

    async def test_changes_of_one_call_follow_each_other(self, index: KeywordIndex) -> None:
        changes = [
            change(1, chunk("a", "valve"), chunk("b", "valve")),
            change(4, removed=("a",)),
            change(9, chunk("b", "pump"), chunk("c", "valve")),
            change(10, chunk("a", "gauge")),
            change(11, removed=("c",)),
        ]
        await index.apply(HANDBOOK, changes)
        assert await found(index, "valve") == []
        assert await found(index, "pump gauge") == ["a", "b"]
        assert await index.position(HANDBOOK) == 11

    async def test_a_repeat_does_nothing(self, index: KeywordIndex) -> None:
        changes = [change(1, chunk("a", "valve")), change(2, chunk("b", "valve"), removed=("a",))]
        await index.apply(HANDBOOK, changes)
        await index.apply(HANDBOOK, changes)
        await index.apply(HANDBOOK, [change(2, chunk("late", "valve"))])
        assert await found(index, "valve") == ["b"]
        assert await index.position(HANDBOOK) == 2

    async def test_a_change_of_nothing_moves_the_position(self, index: KeywordIndex) -> None:
        await index.apply(HANDBOOK, [change(3)])
        assert await index.position(HANDBOOK) == 3
        assert await found(index, "valve") == []

    async def test_no_changes_change_nothing(self, index: KeywordIndex) -> None:
        await index.apply(HANDBOOK, [])
        assert await index.position(HANDBOOK) == 0


class TestCollections:
    async def test_a_collection_under_another_tenant_or_name_is_another(
        self, index: KeywordIndex
    ) -> None:
        others = [
            CollectionKey(TenantId("Acme"), HANDBOOK.name),
            CollectionKey(HANDBOOK.tenant, CollectionName("Handbook")),
            CollectionKey(TenantId("../acme"), CollectionName("")),
            CollectionKey(TenantId("公司"), CollectionName("手册" * 100)),
        ]
        await index.apply(HANDBOOK, [change(1, chunk("a", "valve"))])
        for number, other in enumerate(others):
            assert await index.position(other) == 0
            assert await index.search(other, "valve", 9) == []
            await index.apply(other, [change(1, chunk(f"other{number}", "valve"))])
        for number, other in enumerate(others):
            assert [h.chunk for h in await index.search(other, "valve", 9)] == [f"other{number}"]
        assert await found(index, "valve") == ["a"]

    async def test_a_dropped_collection_is_unknown_and_can_begin_anew(
        self, index: KeywordIndex
    ) -> None:
        other = CollectionKey(HANDBOOK.tenant, CollectionName("other"))
        for key in (HANDBOOK, other):
            await index.apply(key, [change(5, chunk("a", "valve"))])
        await index.drop(HANDBOOK)
        await index.drop(HANDBOOK)
        assert await index.position(HANDBOOK) == 0
        assert await found(index, "valve") == []
        await index.apply(HANDBOOK, [change(1, chunk("b", "valve"))])
        assert await found(index, "valve") == ["b"]
        assert await index.position(other) == 5

    async def test_closing_twice_is_closing_once(self, index: KeywordIndex) -> None:
        await index.close()
        await index.close()

    async def test_reopening_keeps_what_a_durable_one_has_taken(
        self, implementation: Implementation, tmp_path: Path
    ) -> None:
        first = implementation.open(tmp_path / "again")
        await first.apply(HANDBOOK, [change(1, chunk("a", "valve"), chunk("b", "valve"))])
        await first.apply(HANDBOOK, [change(2, chunk("c", "valve"), removed=("b",))])
        await first.close()
        second = implementation.open(tmp_path / "again")
        kept = (await second.position(HANDBOOK), await found(second, "valve"))
        assert kept == ((2, ["a", "c"]) if implementation.durable else (0, []))
        await second.close()


class TestConcurrency:
    async def test_a_search_sees_whole_changes_only(self, index: KeywordIndex) -> None:
        """Each change replaces all chunks at once: a mixture would show two generations."""
        size, generations = 30, 10

        def generation(number: int) -> IndexChange:
            names = tuple(f"g{number - 1}-{i}" for i in range(size)) if number > 1 else ()
            chunks = [chunk(f"g{number}-{i}", "the valve") for i in range(size)]
            return change(number, *chunks, removed=names)

        await index.apply(HANDBOOK, [generation(1)])
        seen: list[set[str]] = []

        async def search() -> None:
            while await index.position(HANDBOOK) < generations:
                hits = await found(index, "valve", 2 * size)
                assert len(hits) == size
                seen.append({name.split("-")[0] for name in hits})
                await asyncio.sleep(0)

        async def apply() -> None:
            for number in range(2, generations + 1):
                await index.apply(HANDBOOK, [generation(number)])
                await asyncio.sleep(0)

        await asyncio.gather(apply(), search(), search())
        assert all(len(generation) == 1 for generation in seen)

    async def test_collections_that_change_at_once_stay_apart(self, index: KeywordIndex) -> None:
        keys = [CollectionKey(TenantId(f"t{number}"), HANDBOOK.name) for number in range(3)]

        async def fill(key: CollectionKey) -> None:
            for position in range(1, 4):
                await index.apply(key, [change(position, chunk(f"{key.tenant}-{position}", "x"))])

        await asyncio.gather(*map(fill, keys))
        for key in keys:
            names = [hit.chunk for hit in await index.search(key, "x", 99)]
            assert names == [f"{key.tenant}-{position}" for position in range(1, 4)]
