"""A document as it comes out of its file: a title and a list of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BlockKind(Enum):
    """What a block is; decides where a chunk may be cut."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    CODE = "code"
    TABLE_ROW = "table_row"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of text. `level` is a heading's depth (from 1) or a list item's nesting."""

    kind: BlockKind
    text: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """What a reader of documents made of the bytes. `title` may be empty.

    `content_type` is the media type that the bytes turned out to be; "" if the reader can't tell.
    """

    title: str
    blocks: tuple[Block, ...]
    content_type: str = ""


class UnreadableReason(Enum):
    """Why a document was rejected, for the summary of an ingest."""

    EMPTY = "empty"
    BINARY = "binary"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_TYPE = "unsupported_type"
    BROKEN = "broken"
    ENCRYPTED = "encrypted"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"


class UnreadableDocument(Exception):
    """This document cannot be taken in; the others can. The message says what to do."""

    def __init__(self, reason: UnreadableReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
