"""How chunks and questions look to tantivy.

The terms of a text are ours (`core.text.terms`); tantivy only splits them at spaces. One document
more than there are chunks, the mark, holds the position and the number of chunks, so that a
commit changes these with the content or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tantivy import Document, Occur, Query, Schema, SchemaBuilder, Searcher

from core.identifiers import ChunkId, Position
from core.knowledge import Filter
from core.ports.indexes import IndexedChunk
from core.text.terms import TERMS_VERSION, terms

ID = "id"
ATTRIBUTES = "attributes"
_TERMS = f"terms_{TERMS_VERSION}"
"""With other rules for terms the schema differs, and what was built with the old is built anew."""
_POSITION = "position"
_CHUNKS = "chunks"
_MARK = "mark"
"""What the mark has as its attribute; those of chunks are digests, longer than this."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the index says of itself."""

    position: Position = Position(0)
    chunks: int = 0


def build_schema() -> Schema:
    """No text is stored, but its terms lie in the index in clear."""
    builder = SchemaBuilder()
    builder.add_text_field(ID, stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(_TERMS, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field(ATTRIBUTES, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field(_POSITION, stored=True)
    builder.add_unsigned_field(_CHUNKS, stored=True)
    return builder.build()


SCHEMA = build_schema()


def chunk_document(chunk: IndexedChunk) -> Document:
    """A chunk as it is indexed."""
    document = Document()
    document.add_text(ID, chunk.id)
    document.add_text(_TERMS, " ".join(terms(chunk.text)))
    for name, value in chunk.attributes.items():
        document.add_text(ATTRIBUTES, _attribute(name, value))
    return document


def mark_document(mark: Mark) -> Document:
    """The mark as it is indexed."""
    document = Document()
    document.add_text(ATTRIBUTES, _MARK)
    document.add_unsigned(_POSITION, mark.position)
    document.add_unsigned(_CHUNKS, mark.chunks)
    return document


def read_mark(searcher: Searcher) -> Mark | None:
    """The mark of what the searcher sees; None in an index that was never committed to."""
    hits = searcher.search(mark_query(), 1, count=False).hits
    if not hits:
        return None
    document = searcher.doc(hits[0][1])
    return Mark(Position(document[_POSITION][0]), document[_CHUNKS][0])


def mark_query() -> Query:
    """Finds the mark."""
    return Query.term_query(SCHEMA, ATTRIBUTES, _MARK, "basic")


def chunks_query(names: Iterable[ChunkId]) -> Query:
    """Finds these chunks, as far as they are there."""
    return Query.term_set_query(SCHEMA, ID, list(names))


def search_query(asked: Sequence[str], where: Filter) -> Query:
    """Finds chunks with any of the terms, and scores by these alone, that `where` admits."""
    any_term = [(Occur.Should, Query.term_query(SCHEMA, _TERMS, term, "freq")) for term in asked]
    conditions = [
        Query.term_set_query(SCHEMA, ATTRIBUTES, [_attribute(name, each) for each in values])
        for name, values in where.allowed.items()
    ]
    if not conditions:
        return Query.boolean_query(any_term)
    must = [Query.const_score_query(condition, 0.0) for condition in conditions]
    return Query.boolean_query(
        [(Occur.Must, each) for each in [Query.boolean_query(any_term), *must]]
    )


def _attribute(name: str, value: str) -> str:
    """One term for both, of a length that tantivy takes."""
    both = f"{len(name)}:{name}{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(both, digest_size=16).hexdigest()
