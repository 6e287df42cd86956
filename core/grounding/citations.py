"""A citation: which words of the answer rest on which words of which document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.identifiers import ChunkId, CollectionName, DocumentId
    from core.knowledge import Passage


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of the answer and the chunk that it rests on.

    `start_byte` and `end_byte` are UTF-8 offsets into the final text, whose bytes between them
    are `cited_text`. `number` is the passage's place in the prompt, from 1. `headings` lead to
    the chunk, outermost first. `source_start` and `source_end` are character offsets into the
    document's text, between which `quote` stands; None and "" when the sentence is cited but is
    not a quotation.
    """

    start_byte: int
    end_byte: int
    cited_text: str
    number: int
    chunk: ChunkId
    document: DocumentId
    title: str
    uri: str
    source_start: int | None = None
    source_end: int | None = None
    quote: str = ""
    collection: CollectionName | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """Where a quotation stands: the passage's number and character offsets into its chunk."""

    number: int
    start: int
    end: int


def cite(
    passage: Passage, number: int, start_byte: int, cited_text: str, place: SourcePlace | None
) -> Citation:
    """The citation of `passage` for text that begins at `start_byte` of the answer."""
    return Citation(
        start_byte=start_byte,
        end_byte=start_byte + len(cited_text.encode()),
        cited_text=cited_text,
        number=number,
        chunk=passage.chunk.id,
        document=passage.chunk.document,
        title=passage.title,
        uri=passage.uri,
        source_start=passage.chunk.start + place.start if place else None,
        source_end=passage.chunk.start + place.end if place else None,
        quote=passage.chunk.text[place.start : place.end] if place else "",
        collection=passage.collection,
        headings=passage.chunk.heading,
    )
