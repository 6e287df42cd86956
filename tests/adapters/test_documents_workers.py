"""The workers that parse: what one bad document may and may not do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.documents.reader import ReaderLimits, WorkerDocumentReader
from adapters.documents.worker_process import Worker
from core.documents import ExtractedDocument, UnreadableDocument, UnreadableReason
from core.errors import Unavailable
from core.identifiers import Seconds
from fakes.pdf_files import bomb_pdf, pdf_of

PLENTY = Seconds(60.0)
MEBIBYTE = 1024 * 1024
DEEP_HTML = b"<div>" * 200_000 + b"</div>" * 200_000
Read = Callable[..., "asyncio.Task[ExtractedDocument]"]


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[WorkerDocumentReader]:
    opened = WorkerDocumentReader(ReaderLimits(workers=1))
    yield opened
    await opened.close()


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def environment(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PLENTY):
        while not happened():  # noqa: ASYNC110 - nothing tells when the kernel has ended a process
            await asyncio.sleep(0.01)


async def rejected(
    reader: WorkerDocumentReader, data: bytes, uri: str, timeout: Seconds = PLENTY
) -> UnreadableDocument:
    with pytest.raises(UnreadableDocument) as caught:
        await reader.read(data, uri=uri, content_type="", timeout=timeout)
    return caught.value


async def reads_on(reader: WorkerDocumentReader) -> bool:
    document = await reader.read(b"# Fine", uri="a.md", content_type="", timeout=PLENTY)
    return document.title == "Fine"


async def test_no_worker_runs_before_the_first_document_or_after_closing() -> None:
    before = children()
    reader = WorkerDocumentReader()
    assert children() == before
    assert await reads_on(reader)
    assert len(children() - before) == 1
    await reader.close()
    assert children() == before


async def test_a_rejection_that_needs_no_parser_starts_no_worker() -> None:
    before = children()
    reader = WorkerDocumentReader()
    error = await rejected(reader, b"\x89PNG\r\n\x1a\n\x00", "a.md")
    assert error.reason is UnreadableReason.BINARY
    assert children() == before
    await reader.close()


async def test_a_worker_without_work_is_ended() -> None:
    before = children()
    reader = WorkerDocumentReader(ReaderLimits(idle_seconds=Seconds(0.0)))
    assert await reads_on(reader)
    await until(lambda: children() == before)
    assert await reads_on(reader)
    await reader.close()


async def test_a_worker_that_is_killed_rejects_its_document_alone(
    reader: WorkerDocumentReader,
) -> None:
    before = children()
    doomed = asyncio.create_task(rejected(reader, DEEP_HTML, "a.html"))
    await until(lambda: children() != before)
    (worker,) = children() - before
    os.kill(worker, signal.SIGSEGV)
    assert (await doomed).reason is UnreadableReason.BROKEN
    assert await reads_on(reader)


async def test_a_worker_that_died_without_work_harms_no_document(
    reader: WorkerDocumentReader,
) -> None:
    before = children()
    assert await reads_on(reader)
    (worker,) = children() - before
    os.kill(worker, signal.SIGKILL)
    await until(lambda: children() == before)
    assert await reads_on(reader)


async def test_the_timeout_kills_the_worker(reader: WorkerDocumentReader) -> None:
    before = children()
    error = await rejected(reader, DEEP_HTML, "a.html", Seconds(0.5))
    assert error.reason is UnreadableReason.TOO_SLOW
    assert "0.5 s" in error.message
    await reader.close()
    assert children() == before


async def test_waiting_for_a_free_worker_does_not_count_as_reading(
    reader: WorkerDocumentReader,
) -> None:
    assert await reads_on(reader)
    slow = asyncio.create_task(rejected(reader, DEEP_HTML, "a.html", Seconds(1.5)))
    await asyncio.sleep(0.05)
    quick = await reader.read(b"# Fine", uri="a.md", content_type="", timeout=Seconds(1.0))
    assert quick.title == "Fine"
    assert (await slow).reason is UnreadableReason.TOO_SLOW


@pytest.mark.parametrize("steps", range(4))
async def test_a_start_that_is_cancelled_leaves_no_process(steps: int) -> None:
    before = children()
    starting = asyncio.create_task(Worker.start(memory_bytes=512 * MEBIBYTE))
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() == before


async def test_cancelling_kills_the_worker_and_frees_its_place(
    reader: WorkerDocumentReader,
) -> None:
    before = children()
    task = asyncio.create_task(
        reader.read(DEEP_HTML, uri="a.html", content_type="", timeout=PLENTY)
    )
    await until(lambda: children() != before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reads_on(reader)
    await reader.close()
    assert children() == before


async def test_a_document_that_needs_too_much_memory_is_too_large() -> None:
    reader = WorkerDocumentReader(ReaderLimits(worker_memory_bytes=192 * MEBIBYTE, workers=1))
    items = b"".join(b"- item %d with a [link](http://example.org)\n" % n for n in range(200_000))
    error = await rejected(reader, items, "a.md")
    assert error.reason is UnreadableReason.TOO_LARGE
    assert "memory" in error.message
    assert await reads_on(reader)
    await reader.close()


async def test_what_unpacks_to_a_flood_is_too_large(reader: WorkerDocumentReader) -> None:
    error = await rejected(reader, bomb_pdf(200 * MEBIBYTE), "a.pdf")
    assert error.reason is UnreadableReason.TOO_LARGE
    assert await reads_on(reader)


async def test_limits_of_size_are_told_with_their_figures() -> None:
    limits = ReaderLimits(source_bytes=2 * MEBIBYTE, text_characters=1000, workers=1)
    reader = WorkerDocumentReader(limits)
    source = await rejected(reader, b"x" * (2 * MEBIBYTE + 1), "a.txt")
    assert source.reason is UnreadableReason.TOO_LARGE
    assert "2 are read" in source.message
    text = await rejected(reader, b"x" * 1001, "a.txt")
    assert text.reason is UnreadableReason.TOO_LARGE
    assert "1,000 characters" in text.message
    await reader.close()


async def test_closing_ends_what_is_being_read(reader: WorkerDocumentReader) -> None:
    assert await reads_on(reader)
    task = asyncio.create_task(
        reader.read(DEEP_HTML, uri="a.html", content_type="", timeout=PLENTY)
    )
    await asyncio.sleep(0.05)
    await reader.close()
    with pytest.raises(Unavailable):
        await task
    with pytest.raises(Unavailable):
        await reader.read(b"# Late", uri="a.md", content_type="", timeout=PLENTY)


async def test_a_hundred_thousand_lines_are_read_while_the_loop_goes_on(
    reader: WorkerDocumentReader,
) -> None:
    lines = b"\n".join(b"Line %d of a long file.\n" % number for number in range(100_000))
    reading = asyncio.create_task(reader.read(lines, uri="a.txt", content_type="", timeout=PLENTY))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0.001)
    document = await reading
    assert len(document.blocks) == 100_000
    assert document.blocks[-1].text == "Line 99999 of a long file."
    assert turns > 20


async def test_a_worker_sees_nothing_of_the_servers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLONNADE_API_KEY", "secret")
    before = children()
    reader = WorkerDocumentReader()
    assert await reads_on(reader)
    (worker,) = children() - before
    assert b"secret" not in environment(worker)
    await reader.close()


async def test_documents_are_read_side_by_side() -> None:
    reader = WorkerDocumentReader(ReaderLimits(workers=2))
    page = pdf_of([["A page of text."]])
    documents = await asyncio.gather(
        *(
            reader.read(page, uri=f"{number}.pdf", content_type="", timeout=PLENTY)
            for number in range(8)
        )
    )
    assert {document.blocks[0].text for document in documents} == {"A page of text."}
    await reader.close()
