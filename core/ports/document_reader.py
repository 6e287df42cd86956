"""Bytes of a file to text."""

from __future__ import annotations

from typing import Protocol

from core.documents import ExtractedDocument
from core.identifiers import Seconds


class DocumentReader(Protocol):
    """Reads Markdown, HTML, plain text and PDF. The bytes are untrusted."""

    async def read(
        self, data: bytes, *, uri: str, content_type: str, timeout: Seconds
    ) -> ExtractedDocument:
        """The document's title and blocks, in reading order.

        `content_type` may be empty: then the name in `uri` and the bytes decide. Raises
        UnreadableDocument, also when `timeout` runs out; a parser that hangs is ended then and
        holds up nothing. The event loop is not blocked.
        """

    async def close(self) -> None:
        """End the workers. Idempotent."""
