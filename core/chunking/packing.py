"""Which pieces make a chunk together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.chunking.cutting import Cutter
from core.chunking.layout import Piece
from core.chunking.policy import ChunkPolicy
from core.documents import BlockKind

PROSE = frozenset({BlockKind.PARAGRAPH, BlockKind.LIST_ITEM})
"""Kinds that are made of sentences, and may be cut between them."""


def sections(pieces: Iterable[Piece], policy: ChunkPolicy) -> Iterator[list[Piece]]:
    """Pieces by section; a small one goes on into the next, the last into the one before it."""
    finished: list[Piece] = []
    section: list[Piece] = []
    size = 0
    for piece in pieces:
        if piece.kind is BlockKind.HEADING and size and size >= policy.min_tokens:
            if finished:
                yield finished
            finished, section, size = section, [], 0
        section.append(piece)
        size += piece.tokens
    if finished and size < policy.min_tokens:
        yield finished + section
        return
    yield from (part for part in (finished, section) if part)


def pack(section: Sequence[Piece], cutter: Cutter, policy: ChunkPolicy) -> list[list[Piece]]:
    """The section's pieces by chunk.

    A section that fits is one chunk. Else chunks grow to the target, at the end of a block if
    there is one near, and a small last one shares with the one before it.
    """
    if sum(piece.tokens for piece in section) <= policy.max_tokens:
        return [list(section)]
    filling = _Filling(policy)
    for piece in section:
        if filling.fits(piece):
            filling.append(piece)
        elif piece.tokens > policy.max_tokens or (filling.is_small and piece.kind in PROSE):
            for sentence in cutter.sentences(piece):
                filling.append_or_start(sentence)
        else:
            filling.start(piece)
    return filling.finished()


class _Filling:
    """Chunks while they are filled, the last one still open."""

    def __init__(self, policy: ChunkPolicy) -> None:
        self._policy = policy
        self._chunks: list[list[Piece]] = []
        self._open: list[Piece] = []
        self._size = 0

    @property
    def is_small(self) -> bool:
        return self._size < self._policy.min_tokens

    def fits(self, piece: Piece) -> bool:
        limit = self._policy.max_tokens if self.is_small else self._policy.target_tokens
        return self._size + piece.tokens <= limit or (
            not self._open and piece.tokens <= self._policy.max_tokens
        )

    def append(self, piece: Piece) -> None:
        self._open.append(piece)
        self._size += piece.tokens

    def append_or_start(self, piece: Piece) -> None:
        if self.fits(piece):
            self.append(piece)
        else:
            self.start(piece)

    def start(self, piece: Piece) -> None:
        """Begin the next chunk with `piece`, and with the headings that lead to it."""
        headings = self._trailing_headings(piece)
        if self._open:
            self._chunks.append(self._open)
        self._open = [*headings, piece]
        self._size = _size(self._open)

    def _trailing_headings(self, piece: Piece) -> list[Piece]:
        """Take the headings off the end of the open chunk, if that leaves something in it."""
        at = len(self._open)
        while at and self._open[at - 1].kind is BlockKind.HEADING:
            at -= 1
        headings = self._open[at:]
        if at == 0 or _size(headings) + piece.tokens > self._policy.max_tokens:
            return []
        del self._open[at:]
        return headings

    def finished(self) -> list[list[Piece]]:
        """All chunks; a small last one is evened out with the one before it."""
        if self._open:
            self._chunks.append(self._open)
        if len(self._chunks) > 1 and self.is_small:
            last, before = self._chunks.pop(), self._chunks.pop()
            self._chunks += _evened(before + last, self._policy)
        return self._chunks


def _evened(pieces: list[Piece], policy: ChunkPolicy) -> list[list[Piece]]:
    """One chunk if they fit, else two that differ as little as possible."""
    total = _size(pieces)
    if total <= policy.max_tokens:
        return [pieces]
    best, smallest, before = 1, total, 0
    for at in range(1, len(pieces)):
        before += pieces[at - 1].tokens
        difference = abs(total - 2 * before)
        if difference < smallest and pieces[at - 1].kind is not BlockKind.HEADING:
            best, smallest = at, difference
    return [pieces[:best], pieces[best:]]


def _size(pieces: Iterable[Piece]) -> int:
    return sum(piece.tokens for piece in pieces)
