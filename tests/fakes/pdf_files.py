"""Small PDF files, written by hand, sound and otherwise."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def pdf_of(pages: Sequence[Sequence[str]], *, title: str = "") -> bytes:
    """A PDF whose pages show these lines."""
    contents = [_stream(_shown(lines)) for lines in pages]
    info = f"<< /Title ({title}) >>".encode() if title else b"<< >>"
    first = 5
    kids = b" ".join(b"%d 0 R" % (first + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        _FONT,
        info,
    ]
    for number, content in enumerate(contents):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (first + 2 * number + 1)
        )
        objects.append(content)
    return pdf_of_objects(objects)


def scanned_pdf(pages: int = 2) -> bytes:
    """Pages that show nothing but a picture."""
    return pdf_of([()] * pages)


def encrypted_pdf(user_password: str, lines: Sequence[str]) -> bytes:
    """A PDF that asks for `user_password`; with "" it only restricts what one may do."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf_of([lines]))))
    writer.encrypt(user_password=user_password, owner_password="owner", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def bomb_pdf(unpacked_bytes: int) -> bytes:
    """One page whose content is a thousandth of what it unpacks to."""
    packed = zlib.compress(b" " * unpacked_bytes, 9)
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (
        len(packed),
        packed,
    )
    return pdf_of_objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>",
            _FONT,
            b"<< >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>",
            stream,
        ]
    )


def circular_pdf() -> bytes:
    """A tree of pages that contains itself."""
    return pdf_of_objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R 5 0 R] /Count 2 /Parent 5 0 R >>",
            _FONT,
            b"<< >>",
            b"<< /Type /Pages /Kids [2 0 R] /Count 1 /Parent 2 0 R >>",
        ]
    )


def pdf_of_objects(objects: Sequence[bytes]) -> bytes:
    """A file of these objects, numbered from 1: the catalog first, the information fourth."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
    )
    return bytes(out)


def _shown(lines: Sequence[str]) -> bytes:
    if not lines:
        return b"0 0 612 792 re f"
    shown = b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in lines)
    return b"BT /F1 12 Tf 14 TL 72 720 Td\n%sET" % shown


def _escaped(line: str) -> bytes:
    raw = line.encode("latin-1")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
