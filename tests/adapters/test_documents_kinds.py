"""What a document is taken for."""

from __future__ import annotations

import pytest

from adapters.documents.kinds import DocumentKind, recognise
from core.documents import UnreadableDocument, UnreadableReason

TEXT = b"Some text.\n"
PAGE = b"<!-- made by hand -->\n<!DOCTYPE html>\n<p>Text"


@pytest.mark.parametrize(
    ("head", "uri", "content_type", "kind"),
    [
        (TEXT, "docs/a.md", "", DocumentKind.MARKDOWN),
        (TEXT, "docs/A.MARKDOWN", "", DocumentKind.MARKDOWN),
        (TEXT, "https://example.org/a.md?raw=1#top", "", DocumentKind.MARKDOWN),
        (TEXT, "a.html", "", DocumentKind.HTML),
        (TEXT, "notes.txt", "", DocumentKind.TEXT),
        (TEXT, "README", "", DocumentKind.TEXT),
        (TEXT, "main.py", "", DocumentKind.TEXT),
        (TEXT, "", "", DocumentKind.TEXT),
        (PAGE, "page", "", DocumentKind.HTML),
        (b"\xef\xbb\xbf<html>", "page", "", DocumentKind.HTML),
        (PAGE, "page.txt", "text/html; charset=utf-8", DocumentKind.HTML),
        (TEXT, "a.bin", "text/markdown", DocumentKind.MARKDOWN),
        (TEXT, "a.md", "text/plain", DocumentKind.MARKDOWN),
        (TEXT, "a.md", "application/octet-stream", DocumentKind.MARKDOWN),
        (TEXT, "a.html", "text/csv", DocumentKind.TEXT),
        (TEXT, "a", "application/json", DocumentKind.TEXT),
        (TEXT, "a", "Application/LD+JSON", DocumentKind.TEXT),
        (b"%PDF-1.7\n\x00", "a.txt", "text/plain", DocumentKind.PDF),
        (b"\xef\xbb\xbf\n%PDF-1.7\n", "report", "", DocumentKind.PDF),
        (b"\xff\xfea\x00b\x00", "a.txt", "", DocumentKind.TEXT),
    ],
)
def test_bytes_header_and_name_decide_together(
    head: bytes, uri: str, content_type: str, kind: DocumentKind
) -> None:
    assert recognise(head, uri=uri, content_type=content_type).kind is kind


@pytest.mark.parametrize(
    ("head", "uri", "content_type", "reason"),
    [
        (b"", "a.md", "", UnreadableReason.EMPTY),
        (b"\n \t", "a.pdf", "", UnreadableReason.EMPTY),
        (b"PK\x03\x04rest", "a.md", "text/markdown", UnreadableReason.BINARY),
        (b"\x89PNG\r\n\x1a\n", "a.txt", "", UnreadableReason.BINARY),
        (b"\x7fELF\x02", "a", "text/html", UnreadableReason.BINARY),
        (b"text\x00text", "a.txt", "text/plain", UnreadableReason.BINARY),
        (b"t\x00e\x00x\x00t\x00", "utf16-without-mark.txt", "", UnreadableReason.BINARY),
        (TEXT, "a", "image/svg+xml", UnreadableReason.UNSUPPORTED_TYPE),
        (TEXT, "a.md", "application/msword", UnreadableReason.UNSUPPORTED_TYPE),
        (b"<feed/>", "a.xml", "", UnreadableReason.UNSUPPORTED_TYPE),
        (b"<feed/>", "a", "text/xml", UnreadableReason.UNSUPPORTED_TYPE),
        (TEXT, "a.pdf", "", UnreadableReason.BROKEN),
        (TEXT, "a", "application/pdf", UnreadableReason.BROKEN),
    ],
)
def test_what_is_none_of_the_four_is_rejected(
    head: bytes, uri: str, content_type: str, reason: UnreadableReason
) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        recognise(head, uri=uri, content_type=content_type)
    assert caught.value.reason is reason


def test_a_binary_file_is_called_by_its_name() -> None:
    with pytest.raises(UnreadableDocument, match="ZIP archive or an office document"):
        recognise(b"PK\x03\x04", uri="report.docx", content_type="")


def test_the_declared_charset_is_handed_on() -> None:
    found = recognise(TEXT, uri="a", content_type='text/plain; charset="GBK"')
    assert found.charset == "GBK"
