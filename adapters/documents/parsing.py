"""One document's bytes to blocks, whatever its kind. Runs in a worker, never beside the server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from adapters.documents.encodings import decode
from adapters.documents.kinds import DocumentKind, Recognised
from adapters.documents.prose import clean
from core.documents import (
    Block,
    ExtractedDocument,
    UnreadableDocument,
    UnreadableReason,
)

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE
)
_META_WITHIN = 4096
_LONGEST_TITLE = 500
_LOOKED_AT = 64 * 1024
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.01


def parse(data: bytes, recognised: Recognised, *, text_limit: int) -> ExtractedDocument:
    """The document's title and clean blocks.

    `text_limit` is the most characters of text. Raises UnreadableDocument, and whatever a parser
    raises at a damaged file.
    """
    document = _parsed(data, recognised)
    blocks = tuple(_within(document.blocks, text_limit))
    if not blocks:
        raise UnreadableDocument(UnreadableReason.EMPTY, "there is no text in it")
    return ExtractedDocument(" ".join(clean(document.title).split())[:_LONGEST_TITLE], blocks)


def _parsed(data: bytes, recognised: Recognised) -> ExtractedDocument:
    """Each kind's parser is imported when its first document comes."""
    if recognised.kind is DocumentKind.PDF:
        from adapters.documents.pdf import read_pdf

        return read_pdf(data)
    text = _text(data, recognised)
    if recognised.kind is DocumentKind.HTML:
        from adapters.documents.html import read_html

        return read_html(text)
    if recognised.kind is DocumentKind.MARKDOWN:
        from adapters.documents.markdown import read_markdown

        return read_markdown(text)
    from adapters.documents.plain_text import plain_text_blocks

    return ExtractedDocument("", tuple(plain_text_blocks(text)))


def _text(data: bytes, recognised: Recognised) -> str:
    charset = recognised.charset
    if not charset and recognised.kind is DocumentKind.HTML:
        meta = _META_CHARSET.search(data, 0, _META_WITHIN)
        charset = meta.group(1).decode("ascii") if meta else ""
    text = decode(data, charset)
    controls = len(_CONTROLS.findall(text, 0, _LOOKED_AT))
    if "\x00" in text or controls > _MOST_CONTROLS * min(len(text), _LOOKED_AT):
        raise UnreadableDocument(UnreadableReason.BINARY, "it is binary; only text can be read")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _within(blocks: Iterable[Block], text_limit: int) -> Iterator[Block]:
    """The blocks that have text, cleaned; no more of it than the limit."""
    total = 0
    for block in blocks:
        text = clean(block.text)
        total += len(text)
        if total > text_limit:
            raise UnreadableDocument(
                UnreadableReason.TOO_LARGE,
                f"it holds more than {text_limit:,} characters of text; split it",
            )
        if text.strip():
            yield Block(block.kind, text, block.level)
