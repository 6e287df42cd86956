"""A reader of documents in a few lines, for tests of what uses one."""

from __future__ import annotations

import asyncio

from core.documents import (
    Block,
    BlockKind,
    ExtractedDocument,
    UnreadableDocument,
    UnreadableReason,
)
from core.identifiers import Seconds

HANGS = b"\x1bhang"
"""A document that starts like this is never read to its end."""


class FakeDocumentReader:
    """Reads UTF-8: headings behind `#`, paragraphs between blank lines, whatever the type.

    `reads` counts the documents that were asked for.
    """

    def __init__(self) -> None:
        self.reads = 0
        self.is_closed = False

    async def read(
        self, data: bytes, *, uri: str, content_type: str, timeout: Seconds
    ) -> ExtractedDocument:
        self.reads += 1
        if data.startswith(HANGS):
            await asyncio.sleep(timeout)
            raise UnreadableDocument(UnreadableReason.TOO_SLOW, "reading it takes too long")
        if b"\x00" in data:
            raise UnreadableDocument(UnreadableReason.BINARY, "it is binary")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise UnreadableDocument(UnreadableReason.UNDECODABLE, "it is not UTF-8") from None
        blocks = tuple(_block(part) for part in text.split("\n\n") if part.strip())
        if not blocks:
            raise UnreadableDocument(UnreadableReason.EMPTY, "there is no text in it")
        headings = [block.text for block in blocks if block.kind is BlockKind.HEADING]
        return ExtractedDocument(headings[0] if headings else "", blocks)

    async def close(self) -> None:
        self.is_closed = True


def _block(text: str) -> Block:
    text = text.strip()
    hashes = len(text) - len(text.lstrip("#"))
    if hashes:
        return Block(BlockKind.HEADING, text[hashes:].strip(), hashes)
    return Block(BlockKind.PARAGRAPH, text)
