"""Opens the reader of documents; its workers start with the first document."""

from __future__ import annotations

from collections.abc import AsyncIterator

from colonnaded.settings import Settings
from core.ports.document_reader import DocumentReader


async def open_document_reader(settings: Settings) -> AsyncIterator[DocumentReader]:
    """Markdown, HTML, text and PDF, read in processes that can be killed."""
    from adapters.documents.reader import ReaderLimits, WorkerDocumentReader

    reader = WorkerDocumentReader(
        ReaderLimits(
            source_bytes=settings.ingestion.max_document_bytes,
            workers=settings.ingestion.workers,
        )
    )
    try:
        yield reader
    finally:
        await reader.close()
