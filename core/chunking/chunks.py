"""Chunks of a document: places in its text, with names that last as long as their content."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.chunking.cutting import Cutter
from core.chunking.layout import HeadingPath, Measure, Piece, lay_out
from core.chunking.packing import PROSE, pack, sections
from core.chunking.policy import ChunkPolicy, estimate_tokens
from core.documents import BlockKind, ExtractedDocument
from core.identifiers import ChunkId, DocumentId
from core.knowledge import Chunk

_ID_DIGITS = 24


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    path: HeadingPath


def chunk(
    document: ExtractedDocument,
    *,
    document_id: DocumentId,
    policy: ChunkPolicy | None = None,
    measure: Measure = estimate_tokens,
    language_of: Callable[[str], str] = lambda _: "",
) -> tuple[str, tuple[Chunk, ...]]:
    """The document's whole text and its chunks, in order.

    Every visible character is in a chunk, and `chunk.text == text[chunk.start:chunk.end]`.
    Chunks end at sections, then between blocks, sentences, words; only those of a split section
    overlap. An id depends on document, headings and text alone, and on how often the same came
    before: whatever changes elsewhere, an unchanged chunk keeps it. Takes time in proportion to
    the text; CPU work, so keep it off an event loop.
    """
    policy = policy or ChunkPolicy()
    size = _within_both_limits(policy, measure)
    text, pieces = lay_out(document.blocks, policy, size)
    cutter = Cutter(text, size, policy.max_tokens)
    spans = [
        span
        for section in sections(pieces, policy)
        for span in _spans(pack(section, cutter, policy), cutter, policy)
    ]
    return text, tuple(_named(text, spans, document_id, language_of))


def _within_both_limits(policy: ChunkPolicy, measure: Measure) -> Measure:
    """A measure that reaches `max_tokens` where characters reach `max_characters`.

    What is too long by its characters is not measured at all: that could take a while, in which
    no other thread would run.
    """

    def size(text: str) -> int:
        by_length = -(-len(text) * policy.max_tokens // policy.max_characters)
        return by_length if by_length > policy.max_tokens else max(measure(text), by_length)

    return size


def _spans(packed: Sequence[list[Piece]], cutter: Cutter, policy: ChunkPolicy) -> Iterator[_Span]:
    """The chunks' places, the later ones of a section with the overlap."""
    previous: list[Piece] = []
    for pieces in (part for whole in packed for part in _fitting(whole, cutter)):
        start = pieces[0].start
        if previous:
            start = _overlap_start(previous, pieces, cutter, policy)
        yield _Span(start, pieces[-1].end, _common_path(pieces))
        previous = pieces


def _fitting(pieces: list[Piece], cutter: Cutter) -> Iterator[list[Piece]]:
    """The pieces, halved as long as they measure more together than they may.

    A sum of measures is not the measure of the whole, so that is looked at once more.
    """
    whole = cutter.measure(cutter.text[pieces[0].start : pieces[-1].end])
    if whole <= cutter.max_tokens or len(pieces) == 1:
        yield pieces
        return
    middle = len(pieces) // 2
    yield from _fitting(pieces[:middle], cutter)
    yield from _fitting(pieces[middle:], cutter)


def _overlap_start(
    previous: list[Piece], pieces: list[Piece], cutter: Cutter, policy: ChunkPolicy
) -> int:
    """Where a chunk begins that repeats the last sentences of the one before it."""
    first, last = pieces[0], previous[-1]
    if last.kind not in PROSE or first.kind not in PROSE or last.path != first.path:
        return first.start
    repeated = cutter.last_sentences(last, policy.overlap_tokens)
    if repeated is None or repeated.start <= previous[0].start:
        return first.start
    grown = cutter.measure(cutter.text[repeated.start : pieces[-1].end])
    return repeated.start if grown <= policy.max_tokens else first.start


def _common_path(pieces: Sequence[Piece]) -> HeadingPath:
    """The headings that everything in the chunk stands under; headings without text don't count."""
    paths = [piece.path for piece in pieces if piece.kind is not BlockKind.HEADING]
    first, *rest = paths or [piece.path for piece in pieces]
    common = len(first)
    for path in rest:
        while first[:common] != path[:common]:
            common -= 1
    return first[:common]


def _named(
    text: str,
    spans: Sequence[_Span],
    document: DocumentId,
    language_of: Callable[[str], str],
) -> Iterator[Chunk]:
    seen: Counter[str] = Counter()
    for ordinal, span in enumerate(spans):
        content = text[span.start : span.end]
        digest = _digest(document, *span.path, content)
        repeat = seen[digest]
        seen[digest] += 1
        name = _digest(digest, str(repeat)) if repeat else digest
        yield Chunk(
            id=ChunkId(f"chunk-{name[:_ID_DIGITS]}"),
            document=document,
            ordinal=ordinal,
            text=content,
            start=span.start,
            end=span.end,
            heading=span.path,
            language=language_of(content),
        )


def _digest(*parts: str) -> str:
    """SHA-256 over the parts, each with its length, so that none runs into the next."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
