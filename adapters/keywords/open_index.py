"""A tantivy index in a folder: its searcher, and for a while its writer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tantivy import Index, IndexWriter, Query

from adapters.keywords import schema
from adapters.keywords.schema import Mark
from core.identifiers import ChunkId, Position
from core.knowledge import Filter
from core.ports.indexes import Hit, IndexChange, IndexedChunk, IndexInUse
from core.text.terms import query_terms

_WRITER_BYTES = 15_000_000
"""The least that tantivy takes; with more it only gathers more before it writes a segment."""
_BESIDE_LIMIT = 16
"""Hits fetched beyond the limit, to see whether the limit cuts through a tie."""


class OpenIndex:
    """One thread at a time may change it; any may search, and sees the last commit."""

    def __init__(self, folder: Path) -> None:
        """Open the index, or make one. Raises ValueError or OSError if it is not a sound one."""
        self._folder = folder
        self._index = Index(schema.SCHEMA, str(folder))
        # Only we commit, so nobody else needs to tell us when to look.
        self._index.config_reader("manual")
        self._writer: IndexWriter | None = None
        self._refresh()

    @property
    def position(self) -> Position:
        """The last change that it holds."""
        return self._mark.position

    def apply(self, changes: Sequence[IndexChange]) -> None:
        """Take over the changes behind its position, in one commit.

        Raises IndexInUse, or OSError if they can't be written; then none of them is there.
        """
        try:
            writer = self._writer or self._open_writer()
            if fresh := _behind(self.position, changes):
                self._commit(writer, fresh)
        except ValueError as error:  # what tantivy raises, whatever the cause
            self._writer = None  # and with it what was not committed
            if "LockBusy" in str(error):
                raise IndexInUse(
                    f"the keyword index in {self._folder} is in use by another process"
                ) from None
            raise OSError(f"the keyword index in {self._folder}: {error}") from error

    def search(self, text: str, limit: int, where: Filter) -> list[Hit]:
        """The `limit` best chunks, best first, ties by id."""
        searcher, asked = self._searcher, query_terms(text)
        if limit <= 0 or not asked:
            return []
        query = schema.search_query(asked, where)
        fetched = limit + _BESIDE_LIMIT
        found = searcher.search(query, fetched, count=False).hits
        while len(found) == fetched and found[-1][0] == found[limit - 1][0]:
            fetched *= 4
            found = searcher.search(query, fetched, count=False).hits
        worst = found[:limit][-1][0] if found else 0.0
        hits = [
            Hit(ChunkId(searcher.doc(address)[schema.ID][0]), score)
            for score, address in found
            if score >= worst
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))[:limit]

    def rest(self) -> None:
        """Let the writer go, once it has merged what it is merging. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # A merge that failed changes nothing, and is tried again after later commits.
            with suppress(ValueError):
                writer.wait_merging_threads()

    def _refresh(self) -> None:
        """See the last commit. Raises ValueError where it is not what it says of itself."""
        self._index.reload()
        searcher = self._index.searcher()
        mark = schema.read_mark(searcher)
        if searcher.num_docs != (mark.chunks + 1 if mark else 0):
            raise ValueError("the number of chunks is not the one that was written")
        self._searcher, self._mark = searcher, mark or Mark()

    def _open_writer(self) -> IndexWriter:
        self._writer = self._index.writer(_WRITER_BYTES, num_threads=1)
        # What a killed writer has left would be in the way: names come again.
        self._writer.garbage_collect_files()
        # tantivy gives a writer's first operation the number of the last commit. A merge that
        # begins before the next one takes that for done, and what it deleted would come back:
        # so let it be one that deletes nothing.
        self._writer.delete_documents_by_query(Query.empty_query())
        self._refresh()  # another process may have written meanwhile
        return self._writer

    def _commit(self, writer: IndexWriter, changes: Sequence[IndexChange]) -> None:
        outcome: dict[ChunkId, IndexedChunk | None] = {}
        for change in changes:
            outcome.update(dict.fromkeys(change.removed))
            outcome.update({chunk.id: chunk for chunk in change.added})
        known = schema.chunks_query(outcome)
        gone = self._searcher.search(known, max(len(outcome), 1), count=False).hits
        added = [schema.chunk_document(chunk) for chunk in outcome.values() if chunk]
        mark = Mark(changes[-1].position, self._mark.chunks - len(gone) + len(added))
        writer.delete_documents_by_query(known)
        writer.delete_documents_by_query(schema.mark_query())
        for document in [*added, schema.mark_document(mark)]:
            writer.add_document(document)
        writer.commit()
        self._refresh()


def _behind(position: Position, changes: Sequence[IndexChange]) -> list[IndexChange]:
    fresh: list[IndexChange] = []
    for change in changes:
        if change.position > position:
            fresh.append(change)
            position = change.position
    return fresh
