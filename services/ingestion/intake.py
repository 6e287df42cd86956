"""The state of one ingest: what came, what was refused, what waits to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.documents import UnreadableDocument
from core.errors import FieldViolation
from core.ingestion import DocumentOutcome, IncomingDocument, IngestOutcome, Rejection
from core.ingestion_rules import declaration_problems
from core.knowledge import Document
from services.ingestion.preparing import Prepared, digest

_CHUNKS_A_COMMIT = 96

Placed = tuple[int, Prepared]
"""A document that is ready, and the place of its outcome."""


class Intake:
    """Judges the documents of one call in turn. One outcome a document, in order."""

    def __init__(self, most_bytes: int, *, force: bool) -> None:
        self.outcomes: list[DocumentOutcome] = []
        self._most_bytes = most_bytes
        self._force = force
        self._seen: set[str] = set()
        self._waiting: list[Placed] = []

    @property
    def is_full(self) -> bool:
        """Whether enough waits for a commit."""
        return sum(len(p.chunks) for _, p in self._waiting) >= _CHUNKS_A_COMMIT

    async def wants(self, incoming: IncomingDocument, known: Document | None) -> bool:
        """Whether the document has to be read; if not, its outcome is settled."""
        self.outcomes.append(DocumentOutcome(incoming.uri, IngestOutcome.REJECTED))
        found = "" if incoming.data is None else await digest(incoming.data)
        refusal = self._refusal(incoming, found)
        if refusal is not None:
            self._reject(*refusal)
            return False
        self._seen.add(incoming.uri)
        sent = found or incoming.sha256.lower()
        if known is not None and self._unchanged(incoming, known, sent):
            self.outcomes[-1] = DocumentOutcome(
                incoming.uri, IngestOutcome.UNCHANGED, known.id, known.chunk_count
            )
            return False
        if incoming.data is None:
            self._reject(Rejection.MISMATCH, "its content was left out, and is not what is stored")
            return False
        return True

    def ready(self, prepared: Prepared) -> None:
        """The document that came last waits for the next commit."""
        self._waiting.append((len(self.outcomes) - 1, prepared))

    def unreadable(self, problem: UnreadableDocument) -> None:
        """The document that came last can't be read."""
        self._reject(Rejection(problem.reason.value), problem.message)

    def take(self) -> Sequence[Placed]:
        """What waits; it is the caller's now."""
        taken, self._waiting = self._waiting, []
        return taken

    def stored(self, batch: Sequence[Placed]) -> None:
        """These documents are stored and indexed."""
        for place, prepared in batch:
            document = prepared.document
            self.outcomes[place] = DocumentOutcome(
                document.uri, IngestOutcome.INGESTED, document.id, len(prepared.chunks)
            )

    def _refusal(self, incoming: IncomingDocument, found: str) -> tuple[Rejection, str] | None:
        problems = declaration_problems(incoming)
        if problems:
            return Rejection.INVALID, _said(problems)
        size = len(incoming.data or b"")
        if max(size, incoming.declared_size or 0) > self._most_bytes:
            return Rejection.TOO_LARGE, f"larger than {self._most_bytes} bytes, the most there is"
        if incoming.uri in self._seen:
            return Rejection.DUPLICATE, "the same uri came earlier in this call"
        if incoming.data is None:
            return None
        if incoming.declared_size not in (None, size):
            return Rejection.MISMATCH, f"{size} bytes came, {incoming.declared_size} were declared"
        if incoming.sha256 and incoming.sha256.lower() != found:
            return Rejection.MISMATCH, "the content does not have the declared sha256"
        return None

    def _unchanged(self, incoming: IncomingDocument, known: Document, sent: str) -> bool:
        if self._force or sent != known.digest:
            return False
        same_title = not incoming.title or incoming.title == known.title
        return same_title and dict(known.attributes) == dict(incoming.attributes)

    def _reject(self, rejection: Rejection, detail: str) -> None:
        self.outcomes[-1] = replace(self.outcomes[-1], rejection=rejection, detail=detail)


def _said(problems: Sequence[FieldViolation]) -> str:
    return "; ".join(f"{problem.field} {problem.description}" for problem in problems)
