"""Plain text: paragraphs between blank lines."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.documents.prose import unwrapped
from core.documents import Block, BlockKind


def plain_text_blocks(text: str) -> Iterator[Block]:
    """The paragraphs of a clean text, with their lines, but for those that a margin broke."""
    for paragraph in paragraphs(text):
        yield Block(BlockKind.PARAGRAPH, unwrapped(paragraph))


def paragraphs(text: str) -> Iterator[list[str]]:
    """The lines of each paragraph, without trailing spaces."""
    lines: list[str] = []
    for raw in text.replace("\f", "\n\n").split("\n"):
        line = raw.rstrip()
        if line:
            lines.append(line)
        elif lines:
            yield lines
            lines = []
    if lines:
        yield lines
