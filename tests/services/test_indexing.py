"""The indexes follow the log of the store, wherever one of the two was left."""

from __future__ import annotations

import errno
from array import array
from datetime import UTC, datetime

import pytest

from core.errors import StorageFull
from core.identifiers import ChunkId, CollectionName, DocumentId, EmbedderName, Position, TenantId
from core.knowledge import Chunk, Collection, CollectionKey, Document
from core.ports.knowledge_rows import StoredChunk
from fakes.keyword_index import FakeKeywordIndex
from fakes.state import FakeState
from fakes.vector_index import FakeVectorIndex
from services.indexing import IndexFollower

KEY = CollectionKey(TenantId("acme"), CollectionName("docs"))
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def stored(text: str) -> StoredChunk:
    vector = memoryview(array("f", [1.0, 0.0]))
    return StoredChunk(Chunk(ChunkId(text), DocumentId(text), 0, text, 0, len(text)), (vector,))


async def put(state: FakeState, *words: str) -> Collection:
    """One document a word, after those that are there."""
    async with state.transaction(KEY.tenant) as tx:
        known = await tx.knowledge.collection(KEY.name)
        if known is None:
            known = Collection(KEY, EmbedderName("e"), 2, THEN)
            tx.knowledge.insert_collection(known)
        position = known.position
        for word in words:
            position = Position(position + 1)
            document = Document(DocumentId(word), word, word, "", "", 1, THEN, THEN)
            tx.knowledge.put_document(KEY.name, document, [stored(word)], position)
    async with state.snapshot(KEY.tenant) as view:
        current = await view.knowledge.collection(KEY.name)
    assert current is not None
    return current


async def found(keywords: FakeKeywordIndex, collection: Collection, word: str) -> list[str]:
    hits = await keywords.search(collection.index_key, word, 5)
    return [hit.chunk for hit in hits]


async def test_indexes_catch_up_with_the_store() -> None:
    state, vectors, keywords = FakeState(), FakeVectorIndex(), FakeKeywordIndex()
    follower = IndexFollower(state, vectors, keywords)
    collection = await put(state, "apple", "pear")
    assert await follower.follow(collection, collection.position) == 2
    assert await found(keywords, collection, "pear") == ["pear"]


async def test_indexes_beyond_a_restored_store_are_built_anew() -> None:
    vectors, keywords = FakeVectorIndex(), FakeKeywordIndex()
    newer = FakeState()
    collection = await put(newer, "apple", "pear", "plum")
    await IndexFollower(newer, vectors, keywords).follow(collection, collection.position)
    older = FakeState()  # a copy from before the plum
    restored = await put(older, "apple", "pear")
    follower = IndexFollower(older, vectors, keywords)
    assert await follower.follow(restored, restored.position) == 2
    assert await found(keywords, restored, "plum") == []
    grown = await put(older, "quince")
    assert await follower.follow(grown, grown.position) == 3
    assert await found(keywords, grown, "quince") == ["quince"]


async def test_a_write_under_way_is_not_taken_for_a_restored_store() -> None:
    state, vectors, keywords = FakeState(), FakeVectorIndex(), FakeKeywordIndex()
    follower = IndexFollower(state, vectors, keywords)
    before = await put(state, "apple")
    after = await put(state, "pear")
    await follower.follow(after, after.position)
    assert await follower.follow(before, before.position) == 2
    assert await found(keywords, after, "pear") == ["pear"]


async def test_a_full_disk_is_told_and_mended_by_room() -> None:
    class FullDisk(FakeVectorIndex):
        full = True

        async def apply(self, collection, changes):  # type: ignore[no-untyped-def]
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            await super().apply(collection, changes)

    state, vectors, keywords = FakeState(), FullDisk(), FakeKeywordIndex()
    follower = IndexFollower(state, vectors, keywords)
    collection = await put(state, "apple")
    with pytest.raises(StorageFull):
        await follower.follow(collection, collection.position)
    vectors.full = False
    assert await follower.follow(collection, collection.position) == 1


async def test_an_index_that_cannot_be_written_is_built_anew() -> None:
    class Damaged(FakeKeywordIndex):
        damaged = True

        async def apply(self, collection, changes):  # type: ignore[no-untyped-def]
            if self.damaged:
                raise OSError("a file of the index is missing")
            await super().apply(collection, changes)

        async def drop(self, collection):  # type: ignore[no-untyped-def]
            self.damaged = False
            await super().drop(collection)

    state, vectors, keywords = FakeState(), FakeVectorIndex(), Damaged()
    follower = IndexFollower(state, vectors, keywords)
    collection = await put(state, "apple", "pear")
    assert await follower.follow(collection, collection.position) == 2
    assert await found(keywords, collection, "pear") == ["pear"]


async def test_what_another_process_has_deleted_is_dropped_here() -> None:
    state, vectors, keywords = FakeState(), FakeVectorIndex(), FakeKeywordIndex()
    here = IndexFollower(state, vectors, keywords)
    collection = await put(state, "apple")
    await here.follow(collection, collection.position)
    assert await here.forget_deleted() == 0
    async with state.transaction(KEY.tenant) as tx:
        tx.knowledge.delete_collection(KEY.name)
    assert await here.forget_deleted() == 1
    assert await found(keywords, collection, "apple") == []
    assert await vectors.position(collection.index_key) == 0
    assert await here.forget_deleted() == 0
