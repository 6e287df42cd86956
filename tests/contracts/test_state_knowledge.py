"""Collections, documents and the change log in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import (
    ACME,
    DOCS,
    a_chunk,
    a_collection,
    a_document,
    a_vector,
    later,
)
from core.identifiers import ChunkId, CollectionName, DocumentId, Position
from core.knowledge import Collection, Document
from core.pages import Cursor
from core.ports.indexes import IndexChange
from core.ports.knowledge_rows import StoredChunk
from core.ports.state import State, StoreConflict

NOTES = CollectionName("notes")


@pytest.fixture
async def docs(state: State) -> State:
    """A store with two empty collections."""
    async with state.transaction(ACME) as tx:
        tx.knowledge.insert_collection(a_collection())
        tx.knowledge.insert_collection(a_collection("notes"))
    return state


async def put(
    state: State, position: int, document: Document, *chunks: StoredChunk, into: str = "docs"
) -> None:
    async with state.transaction(ACME) as tx:
        tx.knowledge.put_document(CollectionName(into), document, chunks, Position(position))


async def remove(state: State, position: int, document: str = "doc") -> None:
    async with state.transaction(ACME) as tx:
        tx.knowledge.delete_document(DOCS, DocumentId(document), Position(position))


async def collection(state: State, name: CollectionName = DOCS) -> Collection | None:
    async with state.snapshot(ACME) as tx:
        return await tx.knowledge.collection(name)


async def document(state: State, id: str = "doc") -> Document | None:
    async with state.snapshot(ACME) as tx:
        return await tx.knowledge.document(DOCS, DocumentId(id))


async def chunk_ids(state: State, id: str = "doc") -> list[str]:
    async with state.snapshot(ACME) as tx:
        return list(await tx.knowledge.chunk_ids(DOCS, DocumentId(id)))


async def changes(state: State, after: int = 0, limit: int = 100) -> list[IndexChange]:
    async with state.snapshot(ACME) as tx:
        return list(await tx.knowledge.changes(DOCS, Position(after), limit))


def outline(change: IndexChange) -> tuple[int, list[str], list[str]]:
    """Position, what goes, what comes."""
    return change.position, list(change.removed), [chunk.id for chunk in change.added]


class TestCollections:
    async def test_one_comes_back_as_it_was(self, docs: State) -> None:
        assert await collection(docs) == a_collection()
        assert await collection(docs, CollectionName("unknown")) is None
        async with docs.transaction(ACME) as tx:
            assert await tx.knowledge.lock_collection(DOCS) == a_collection()

    async def test_a_name_is_taken_once(self, docs: State) -> None:
        async def again() -> None:
            async with docs.transaction(ACME) as tx:
                tx.knowledge.insert_collection(replace(a_collection(), dimensions=9))

        with pytest.raises(StoreConflict):
            await again()
        assert await collection(docs) == a_collection()

    async def test_they_are_listed_by_name_a_page_at_a_time(self, docs: State) -> None:
        async def page(limit: int, after: Cursor | None = None) -> list[str]:
            async with docs.snapshot(ACME) as tx:
                return [row.key.name for row in await tx.knowledge.collections(limit, after)]

        async with docs.transaction(ACME) as tx:
            tx.knowledge.insert_collection(a_collection("guides"))
        assert await page(10) == ["docs", "guides", "notes"]
        assert await page(2) == ["docs", "guides"]
        assert await page(2, Cursor("guides", "guides")) == ["notes"]

    async def test_counts_and_position_follow_the_documents(self, docs: State) -> None:
        async def counts() -> tuple[int, int, int]:
            row = await collection(docs)
            assert row is not None
            return row.position, row.document_count, row.chunk_count

        await put(docs, 1, a_document(), a_chunk("a"), a_chunk("b", ordinal=1))
        assert await counts() == (1, 1, 2)
        await put(docs, 2, a_document("doc-2"), a_chunk("c", "doc-2"))
        assert await counts() == (2, 2, 3)
        await put(docs, 3, a_document(), a_chunk("d"))
        assert await counts() == (3, 2, 2)
        await put(docs, 4, a_document("empty"))
        assert await counts() == (4, 3, 2)
        await remove(docs, 5)
        assert await counts() == (5, 2, 1)
        await remove(docs, 6, "unknown")
        assert await counts() == (6, 2, 1)

    async def test_a_deleted_one_takes_everything_with_it(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"))
        await put(docs, 1, a_document(), a_chunk("a"), into="notes")
        async with docs.transaction(ACME) as tx:
            tx.knowledge.delete_collection(DOCS)
            tx.knowledge.delete_collection(CollectionName("unknown"))
        assert await collection(docs) is None
        assert await document(docs) is None
        assert await changes(docs) == []
        async with docs.transaction(ACME) as tx:
            assert await tx.knowledge.chunks(DOCS, [ChunkId("a")]) == {}
            assert len(await tx.knowledge.chunks(NOTES, [ChunkId("a")])) == 1
            tx.knowledge.insert_collection(a_collection())
        await put(docs, 1, a_document(), a_chunk("a"))
        assert await chunk_ids(docs) == ["a"]


class TestDocuments:
    async def test_one_comes_back_with_its_number_of_chunks(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"), a_chunk("b", ordinal=1))
        assert await document(docs) == replace(a_document(), chunk_count=2)
        assert await document(docs, "unknown") is None

    async def test_putting_it_again_replaces_it_with_its_chunks(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"), a_chunk("b", ordinal=1))
        new = replace(a_document(), title="New", digest="cd" * 32, updated_at=later(9))
        await put(docs, 2, new, a_chunk("b", ordinal=1), a_chunk("c"))
        assert await document(docs) == replace(new, chunk_count=2)
        assert await chunk_ids(docs) == ["c", "b"]

    async def test_they_are_listed_by_uri_a_page_at_a_time(self, docs: State) -> None:
        async def page(limit: int, after: Cursor | None = None) -> list[str]:
            async with docs.snapshot(ACME) as tx:
                return [row.id for row in await tx.knowledge.documents(DOCS, limit, after)]

        for position, (id, uri) in enumerate([("x", "b"), ("y", "a"), ("z", "c")], 1):
            await put(docs, position, a_document(id, uri))
        assert await page(10) == ["y", "x", "z"]
        assert await page(2) == ["y", "x"]
        assert await page(2, Cursor("b", "x")) == ["z"]

    async def test_they_are_found_by_uri(self, docs: State) -> None:
        await put(docs, 1, a_document("x", "file:///x"))
        await put(docs, 2, a_document("y", "file:///ÿ 猫"))
        async with docs.snapshot(ACME) as tx:
            found = await tx.knowledge.documents_by_uri(DOCS, ["file:///ÿ 猫", "file:///none"])
            assert found == {"file:///ÿ 猫": a_document("y", "file:///ÿ 猫")}
            assert await tx.knowledge.documents_by_uri(DOCS, []) == {}

    async def test_a_uri_names_one_document(self, docs: State) -> None:
        await put(docs, 1, a_document("x", "same"))
        with pytest.raises(StoreConflict):
            await put(docs, 2, a_document("y", "same"))
        await put(docs, 2, a_document("y", "same"), into="notes")

    async def test_a_deleted_one_is_gone_with_its_chunks(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"))
        await remove(docs, 2)
        assert await document(docs) is None
        assert await chunk_ids(docs) == []

    async def test_none_is_put_into_a_collection_that_is_not_there(self, docs: State) -> None:
        with pytest.raises(StoreConflict):
            await put(docs, 1, a_document(), a_chunk("a"), into="unknown")

    async def test_a_chunk_belongs_to_one_document(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"))
        with pytest.raises(StoreConflict):
            await put(docs, 2, a_document("doc-2"), a_chunk("a", "doc-2"))


class TestChunks:
    async def test_come_back_with_vectors_and_document(self, docs: State) -> None:
        rich = replace(
            a_chunk("a"), vectors=(a_vector(1.0, 0.0), a_vector(0.1, -0.2), a_vector(0.0, 1.0))
        )
        bare = replace(a_chunk("b", ordinal=1), vectors=())
        await put(docs, 1, a_document(), rich, bare)
        async with docs.snapshot(ACME) as tx:
            found = await tx.knowledge.chunks(DOCS, [ChunkId("b"), ChunkId("a"), ChunkId("none")])
        owner = replace(a_document(), chunk_count=2)
        assert found == {"a": (rich, owner), "b": (bare, owner)}
        vector = found[ChunkId("a")][0].vectors[1]
        assert (vector.format, vector.ndim, len(vector)) == ("f", 1, 2)

    async def test_many_are_read_at_once(self, docs: State) -> None:
        chunks = [a_chunk(f"c{number}", ordinal=number) for number in range(1500)]
        await put(docs, 1, a_document(), *chunks)
        ids = [stored.chunk.id for stored in chunks]
        async with docs.snapshot(ACME) as tx:
            assert list(await tx.knowledge.chunk_ids(DOCS, DocumentId("doc"))) == ids
            assert len(await tx.knowledge.chunks(DOCS, ids)) == 1500


class TestChanges:
    async def test_say_what_goes_and_what_comes(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"), a_chunk("b", ordinal=1))
        assert [outline(each) for each in await changes(docs)] == [(1, [], ["a", "b"])]
        await put(docs, 2, a_document(), a_chunk("b"), a_chunk("c", ordinal=1))
        assert outline((await changes(docs))[-1]) == (2, ["a", "b"], ["b", "c"])
        await remove(docs, 3)
        assert outline((await changes(docs))[-1]) == (3, ["b", "c"], [])

    async def test_are_read_after_a_position_up_to_a_limit(self, docs: State) -> None:
        for position in range(1, 6):
            await put(docs, position, a_document(f"d{position}"))
        assert [each.position for each in await changes(docs, 2)] == [3, 4, 5]
        assert [each.position for each in await changes(docs, 2, 2)] == [3, 4]
        assert await changes(docs, 5) == []

    async def test_an_added_chunk_carries_what_an_index_needs(self, docs: State) -> None:
        await put(docs, 1, a_document(title="Guide"), a_chunk("a", vectors=2))
        (added,) = (await changes(docs))[0].added
        assert added.text == "Guide\nTop > Sub\nWords of a."
        assert added.vectors == (a_vector(0.6, 0.8), a_vector(0.6, 0.8))
        assert added.attributes == {"language": "en", "team": "ops"}

    async def test_replayed_they_lead_to_what_is_there(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"), a_chunk("b", ordinal=1))
        await put(docs, 2, a_document("doc-2"), a_chunk("x", "doc-2"))
        await put(docs, 3, a_document(), a_chunk("a"))
        await remove(docs, 4, "doc-2")
        await put(docs, 5, a_document("doc-3"), a_chunk("x", "doc-3"))
        held: set[str] = set()
        for change in await changes(docs):
            held -= set(change.removed)
            held |= {chunk.id for chunk in change.added}
        assert held == {"a", "x"}

    async def test_a_position_is_taken_once(self, docs: State) -> None:
        await put(docs, 1, a_document(), a_chunk("a"))
        with pytest.raises(StoreConflict):
            await put(docs, 1, a_document("doc-2"))
        with pytest.raises(StoreConflict):
            await remove(docs, 1)
        assert await chunk_ids(docs) == ["a"]
