"""One collection: its journal on the disk and its shelf in memory, which always agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import structlog

from adapters.vectors.intake import accept
from adapters.vectors.journal import Journal
from adapters.vectors.records import VectorChange, VectorChunk, decode, encode
from adapters.vectors.shelf import Shelf
from adapters.vectors.view import View
from core.identifiers import Position
from core.ports.indexes import IndexChange

_CHUNKS_A_RECORD = 1000

_log = structlog.get_logger(__name__)


class StoredCollection:
    """Loaded when it is made. One thread at a time may change it; `view` may be read by any."""

    view: View

    def __init__(self, file: Path, garbage_bytes: int) -> None:
        """The journal is packed when more than `garbage_bytes`, and than half of what matters
        in it, no longer does.
        """
        self._file = file
        self._garbage_bytes = garbage_bytes
        self._journal = Journal(file)
        self._load()

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._shelf.size_bytes

    @property
    def is_known(self) -> bool:
        """Whether it holds any change."""
        return self._shelf.position > 0

    def apply(self, changes: Sequence[IndexChange]) -> None:
        """Take over the changes behind its position: on the disk first, then in memory.

        Raises DimensionMismatch, ValueError or OSError; then searches see none of them.
        """
        accepted = accept(changes, self._shelf.position, self._shelf.dimensions)
        if not accepted:
            return
        records = [encode(change) for change in accepted]
        self._journal.append(records)
        for change, record in zip(accepted, records, strict=True):
            self._shelf.take(change, len(record))
        self.view = self._shelf.view()
        live = self._shelf.live_bytes
        if self._journal.size_bytes - live > max(self._garbage_bytes, live / 2):
            self._pack()

    def _load(self) -> None:
        self._shelf = Shelf()
        for record in self._journal.read():
            self._shelf.take(decode(record), len(record))
        if not self.is_known:
            # Nothing, or only a part of what a rewritten journal begins with.
            self._shelf = Shelf()
            self._journal.size_bytes = 0
        if lost := self._journal.cut_unsound():
            _log.warning(
                "vector index torn or damaged; it goes on from its last sound change",
                file=str(self._file),
                lost_bytes=lost,
                position=self._shelf.position,
            )
        self.view = self._shelf.view()

    def _pack(self) -> None:
        """Leave what is dead behind. A full disk only puts it off."""
        try:
            self._journal.rewrite(map(encode, self._living()))
        except OSError as error:
            _log.warning("vector index not packed", file=str(self._file), error=str(error))
        else:
            self._load()

    def _living(self) -> Iterator[VectorChange]:
        """All that lives, in several changes, of which only the last tells the position."""
        chunks = self._shelf.live_chunks()
        batch = list(islice(chunks, _CHUNKS_A_RECORD))
        while following := list(islice(chunks, _CHUNKS_A_RECORD)):
            yield self._change(Position(0), batch)
            batch = following
        yield self._change(self._shelf.position, batch)

    def _change(self, position: Position, added: list[VectorChunk]) -> VectorChange:
        return VectorChange(position, self._shelf.dimensions, (), added)
