"""What every core.ports.document_reader.DocumentReader keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from adapters.documents.reader import WorkerDocumentReader
from core.documents import BlockKind, UnreadableDocument, UnreadableReason
from core.identifiers import Seconds
from core.ports.document_reader import DocumentReader
from fakes.document_reader import HANGS, FakeDocumentReader

PLENTY = Seconds(60.0)
GUIDE = b"# Guide\n\nStart the server.\n\n## Ports\n\nIt listens on 50051.\n"


@dataclass(frozen=True)
class Implementation:
    """How to open one, and a document that it would read for ever."""

    name: str
    open: Callable[[], DocumentReader]
    hanging: bytes

    def __str__(self) -> str:
        return self.name


IMPLEMENTATIONS = [
    Implementation("workers", WorkerDocumentReader, b"<div>" * 200_000 + b"</div>" * 200_000),
    Implementation("fake", FakeDocumentReader, HANGS),
]


@pytest.fixture(params=IMPLEMENTATIONS, ids=str)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    assert isinstance(request.param, Implementation)
    return request.param


@pytest_asyncio.fixture
async def reader(implementation: Implementation) -> AsyncIterator[DocumentReader]:
    opened = implementation.open()
    yield opened
    await opened.close()


async def rejection(reader: DocumentReader, data: bytes, uri: str = "a.md") -> UnreadableReason:
    with pytest.raises(UnreadableDocument) as caught:
        await reader.read(data, uri=uri, content_type="", timeout=PLENTY)
    assert caught.value.message
    return caught.value.reason


async def test_a_document_comes_out_as_title_and_blocks_in_reading_order(
    reader: DocumentReader,
) -> None:
    document = await reader.read(GUIDE, uri="guide.md", content_type="", timeout=PLENTY)
    assert document.title == "Guide"
    assert [(b.kind, b.text, b.level) for b in document.blocks] == [
        (BlockKind.HEADING, "Guide", 1),
        (BlockKind.PARAGRAPH, "Start the server.", 0),
        (BlockKind.HEADING, "Ports", 2),
        (BlockKind.PARAGRAPH, "It listens on 50051.", 0),
    ]


async def test_chinese_and_emoji_stay_as_they_are(reader: DocumentReader) -> None:
    data = "服务器启动 🚀 完成。".encode()
    document = await reader.read(data, uri="a.txt", content_type="", timeout=PLENTY)
    assert [block.text for block in document.blocks] == ["服务器启动 🚀 完成。"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", UnreadableReason.EMPTY),
        (b" \n\n \t\n", UnreadableReason.EMPTY),
        (b"text\x00and more", UnreadableReason.BINARY),
        (b"caf\xe9\xff\xfe\x81 \x9d", UnreadableReason.UNDECODABLE),
    ],
)
async def test_what_cannot_be_read_is_rejected_with_its_reason(
    reader: DocumentReader, data: bytes, reason: UnreadableReason
) -> None:
    assert await rejection(reader, data) is reason


async def test_a_rejected_document_does_not_harm_the_next(reader: DocumentReader) -> None:
    await rejection(reader, b"\x00")
    document = await reader.read(GUIDE, uri="guide.md", content_type="", timeout=PLENTY)
    assert document.title == "Guide"


async def test_a_document_that_takes_too_long_is_given_up_and_holds_up_nothing(
    implementation: Implementation, reader: DocumentReader
) -> None:
    await reader.read(GUIDE, uri="warm.md", content_type="", timeout=PLENTY)
    slow = asyncio.create_task(
        reader.read(implementation.hanging, uri="a.html", content_type="", timeout=Seconds(0.5))
    )
    await asyncio.sleep(0)
    other = await reader.read(GUIDE, uri="guide.md", content_type="", timeout=PLENTY)
    assert other.title == "Guide"
    with pytest.raises(UnreadableDocument) as caught:
        await slow
    assert caught.value.reason is UnreadableReason.TOO_SLOW


async def test_a_cancelled_read_ends_at_once(
    implementation: Implementation, reader: DocumentReader
) -> None:
    await reader.read(GUIDE, uri="warm.md", content_type="", timeout=PLENTY)
    slow = asyncio.create_task(
        reader.read(implementation.hanging, uri="a.html", content_type="", timeout=PLENTY)
    )
    await asyncio.sleep(0.05)
    began = time.monotonic()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert time.monotonic() - began < PLENTY / 2
    after = await reader.read(GUIDE, uri="guide.md", content_type="", timeout=PLENTY)
    assert after.title == "Guide"


async def test_closing_twice_is_closing_once(reader: DocumentReader) -> None:
    await reader.read(GUIDE, uri="guide.md", content_type="", timeout=PLENTY)
    await reader.close()
    await reader.close()
