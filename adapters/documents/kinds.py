"""What a document is: by its header, its name, and above all its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from adapters.documents.encodings import marked_encoding
from core.documents import UnreadableDocument, UnreadableReason

HEAD_BYTES = 64 * 1024
"""How much of a document's beginning `recognise` looks at."""
_PDF_HEADER_WITHIN = 1024


class DocumentKind(Enum):
    """What there is a parser for."""

    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"
    PDF = "pdf"

    @property
    def media_type(self) -> str:
        """The registered name of the kind."""
        return _MEDIA_TYPES[self]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A document's kind, and the charset that its header declares, or ""."""

    kind: DocumentKind
    charset: str = ""


_MEDIA_TYPES = {
    DocumentKind.MARKDOWN: "text/markdown",
    DocumentKind.HTML: "text/html",
    DocumentKind.TEXT: "text/plain",
    DocumentKind.PDF: "application/pdf",
}
_BY_MEDIA_TYPE = {
    "text/markdown": DocumentKind.MARKDOWN,
    "text/x-markdown": DocumentKind.MARKDOWN,
    "text/html": DocumentKind.HTML,
    "application/xhtml+xml": DocumentKind.HTML,
    "application/pdf": DocumentKind.PDF,
    "application/x-pdf": DocumentKind.PDF,
}
_VAGUE_MEDIA_TYPES = frozenset(
    {"", "text/plain", "application/octet-stream", "binary/octet-stream"}
)
_TEXT_MEDIA_TYPE = re.compile(r"text/(?!xml\b)|application/(?:(?:.*\+)?json|x?-?yaml|toml)\b")
_BY_SUFFIX = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd", "mdx", "qmd"), DocumentKind.MARKDOWN),
    **dict.fromkeys(("html", "htm", "xhtml"), DocumentKind.HTML),
    "pdf": DocumentKind.PDF,
}
_UNSUPPORTED_SUFFIXES = frozenset({"xml", "svg", "rtf", "tex", "eml", "mhtml"})
_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document of the old binary kind"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "an image or a recording"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"ID3", "a recording"),
    (b"OggS", "a recording"),
    (b"fLaC", "a recording"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x00asm", "a program"),
)
_HTML_BEGINS = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,4096}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


def recognise(head: bytes, *, uri: str, content_type: str) -> Recognised:
    """The kind of the document that begins with `head` (HEAD_BYTES of it, or all).

    The bytes of a PDF or of a binary file speak for themselves. Otherwise a precise media type
    decides, then the name's suffix, then what the text begins like. Raises UnreadableDocument:
    EMPTY, BINARY, UNSUPPORTED_TYPE, or BROKEN for a PDF that is none.
    """
    if not head.strip():
        raise UnreadableDocument(UnreadableReason.EMPTY, "it is empty")
    if b"%PDF-" in head[:_PDF_HEADER_WITHIN]:
        return Recognised(DocumentKind.PDF)
    _refuse_binary(head)
    media_type, _, parameters = content_type.partition(";")
    kind = _declared_kind(media_type.strip().lower(), _suffix(uri), head)
    if kind is DocumentKind.PDF:
        raise UnreadableDocument(
            UnreadableReason.BROKEN, "it is named a PDF but does not begin like one"
        )
    charset = _CHARSET.search(parameters)
    return Recognised(kind, charset.group(1) if charset else "")


def _refuse_binary(head: bytes) -> None:
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableDocument(
                UnreadableReason.BINARY,
                f"it is {what}; convert it to PDF, HTML, Markdown or plain text",
            )
    if b"\x00" in head and marked_encoding(head) is None:
        raise UnreadableDocument(
            UnreadableReason.BINARY,
            "it is binary, or UTF-16 without a byte order mark; save it as UTF-8 text",
        )


def _declared_kind(media_type: str, suffix: str, head: bytes) -> DocumentKind:
    if kind := _BY_MEDIA_TYPE.get(media_type):
        return kind
    if media_type in _VAGUE_MEDIA_TYPES:
        return _kind_by_name(suffix, head)
    if _TEXT_MEDIA_TYPE.match(media_type):
        return DocumentKind.TEXT
    raise UnreadableDocument(
        UnreadableReason.UNSUPPORTED_TYPE,
        f"the type {media_type[:100]!r} is not read; Markdown, HTML, plain text and PDF are",
    )


def _kind_by_name(suffix: str, head: bytes) -> DocumentKind:
    if kind := _BY_SUFFIX.get(suffix):
        return kind
    if suffix in _UNSUPPORTED_SUFFIXES:
        raise UnreadableDocument(
            UnreadableReason.UNSUPPORTED_TYPE,
            f"files of the kind .{suffix} are not read; Markdown, HTML, plain text and PDF are",
        )
    mark = marked_encoding(head)
    begins_as_html = _HTML_BEGINS.match(head, mark[1] if mark else 0)
    return DocumentKind.HTML if begins_as_html else DocumentKind.TEXT


def _suffix(uri: str) -> str:
    """The end of the name in a path or an address, lower-cased: "" if it has none."""
    try:
        parts = urlsplit(uri)
        path = parts.path if parts.netloc else uri
    except ValueError:
        path = uri
    name = path.rsplit("/", 1)[-1]
    return name.rpartition(".")[2].lower() if "." in name else ""
