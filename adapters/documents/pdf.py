"""PDF: the text layer, page by page."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

from pypdf import PdfReader
from pypdf.errors import DependencyError, LimitReachedError

from adapters.documents.plain_text import paragraphs
from adapters.documents.prose import clean, unwrapped
from core.documents import (
    Block,
    BlockKind,
    ExtractedDocument,
    UnreadableDocument,
    UnreadableReason,
)

_HYPHENATED = re.compile(r"(?<=[^\W\d_]{2})-\n(?=[^\W\d_])(?=[^A-Z])")
_FULL_LINE = 0.7
_MADE_BY_A_PROGRAM = re.compile(r"(?i)microsoft (?:word|powerpoint) - |untitled|\S+\.\w{2,5}\Z")


def read_pdf(data: bytes) -> ExtractedDocument:
    """The paragraphs of all pages.

    Raises UnreadableDocument: ENCRYPTED if it opens only with a password, EMPTY if its pages
    hold pictures of text, TOO_LARGE if it unpacks to more than pypdf's limits. What else pypdf
    raises means that the file is damaged.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it comments on each flaw it gets over
    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted:
        _unlock(reader)
    try:
        blocks = tuple(block for page in reader.pages for block in _blocks(page.extract_text()))
    except LimitReachedError:
        raise UnreadableDocument(
            UnreadableReason.TOO_LARGE, "what is packed in it is too large; split it"
        ) from None
    if not blocks:
        raise UnreadableDocument(
            UnreadableReason.EMPTY,
            f"none of its pages ({len(reader.pages)}) holds text, as in a scan; run text "
            "recognition (OCR) over it first",
        )
    return ExtractedDocument(_title(reader), blocks)


def _unlock(reader: PdfReader) -> None:
    """Open a file that only restricts printing and the like: its password is empty."""
    try:
        opened = bool(reader.decrypt(""))
    except DependencyError:
        opened = False
    if not opened:
        raise UnreadableDocument(
            UnreadableReason.ENCRYPTED, "it is encrypted; save it without a password"
        )


def _blocks(page: str) -> Iterator[Block]:
    text = _HYPHENATED.sub("", clean(page))
    for lines in paragraphs(text):
        for group in _by_full_lines(lines):
            yield Block(BlockKind.PARAGRAPH, unwrapped(group))


def _by_full_lines(lines: list[str]) -> Iterator[list[str]]:
    """Lines in groups that end with a short one: pages seldom have blank lines in them."""
    width = max(len(line) for line in lines)
    group: list[str] = []
    for line in lines:
        group.append(line)
        if len(line) < _FULL_LINE * width:
            yield group
            group = []
    if group:
        yield group


def _title(reader: PdfReader) -> str:
    metadata = reader.metadata
    title = str(metadata.title or "").strip() if metadata else ""
    return "" if _MADE_BY_A_PROGRAM.match(title) else title
