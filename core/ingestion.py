"""What comes in to be known, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from core.identifiers import DocumentId, Position


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """A document as its client sends it. `data` None: not sent, since `sha256` was thought known.

    `declared_size` is what the client said in advance; None if it said nothing.
    """

    uri: str
    data: bytes | None
    title: str = ""
    content_type: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    declared_size: int | None = None


class IngestOutcome(Enum):
    """What became of a document."""

    INGESTED = "ingested"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


class Rejection(Enum):
    """Why a document was not taken in."""

    INVALID = "invalid"
    UNSUPPORTED_TYPE = "unsupported_type"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    UNDECODABLE = "undecodable"
    BROKEN = "broken"
    ENCRYPTED = "encrypted"
    MISMATCH = "mismatch"
    DUPLICATE = "duplicate"
    BINARY = "binary"
    TOO_SLOW = "too_slow"


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """One document's line in the summary."""

    uri: str
    outcome: IngestOutcome
    document: DocumentId = DocumentId("")
    chunk_count: int = 0
    rejection: Rejection | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """All lines in the order in which the documents came, and where the collection stands."""

    outcomes: tuple[DocumentOutcome, ...]
    position: Position

    def count(self, outcome: IngestOutcome) -> int:
        """How many documents ended so."""
        return sum(1 for line in self.outcomes if line.outcome is outcome)
