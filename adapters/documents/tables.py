"""Tables as rows that can be read alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.documents import Block, BlockKind


@dataclass(slots=True)
class Table:
    """A table while it is read: fill `cells`, say whether they are a header, end the row.

    Each row's cells are named by the header above them, so that a row says what it means
    wherever it ends up: `Port: 8080 | Use: metrics`.
    """

    cells: list[str] = field(default_factory=list)
    is_header: bool = False
    _header: list[str] = field(default_factory=list)
    _header_is_told: bool = False

    def end_row(self) -> Iterator[Block]:
        """The row as a block; nothing for a header, which its rows will tell."""
        cells, self.cells = self.cells, []
        was_header, self.is_header = self.is_header, False
        if not any(cells):
            return
        if was_header:
            yield from self.end()
            self._header, self._header_is_told = cells, False
            return
        self._header_is_told = True
        yield _row(
            _named(self._header[column] if column < len(self._header) else "", cell)
            for column, cell in enumerate(cells)
            if cell
        )

    def end(self) -> Iterator[Block]:
        """The header of a table that has no row to tell it."""
        if self._header and not self._header_is_told:
            yield _row(cell for cell in self._header if cell)
        self._header = []


def _named(name: str, cell: str) -> str:
    return f"{name.rstrip(':：')}: {cell}" if name and name != cell else cell


def _row(cells: Iterator[str]) -> Block:
    return Block(BlockKind.TABLE_ROW, " | ".join(cells))
