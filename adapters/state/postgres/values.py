"""Values on their way to the server, and what it answers with."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.state.rows.session import Row
from core.errors import InvalidInput

Encoded = tuple[list[bytes | None], list[int] | None]
"""Values, and which of them are binary; None where none is."""

_TEXT, _BINARY = 0, 1


def encoded(row: Row) -> Encoded:
    """A row of values for one statement.

    InvalidInput for a text with a zero character, which PostgreSQL cannot keep.
    """
    values: list[bytes | None] = []
    formats: list[int] | None = None
    for value in row:
        if value is None:
            values.append(None)
        elif isinstance(value, str):
            values.append(_text(value))
        elif isinstance(value, bytes):
            formats = formats or [_TEXT] * len(row)
            formats[len(values)] = _BINARY
            values.append(value)
        elif value is True or value is False:
            values.append(b"t" if value else b"f")
        else:
            values.append(repr(value).encode())
    return values, formats


def _text(value: str) -> bytes:
    encoded_text = value.encode()
    if b"\0" in encoded_text:
        raise InvalidInput.at("text", "must not contain the character U+0000")
    return encoded_text


def as_arrays(rows: list[Encoded]) -> Encoded:
    """Many rows as one, of an array a column."""
    width = len(rows[0][0])
    return [_array(rows, column) for column in range(width)], None


def _array(rows: list[Encoded], column: int) -> bytes:
    elements = []
    for values, formats in rows:
        value = values[column]
        if value is None:
            elements.append(b"NULL")
        elif formats is not None and formats[column]:
            elements.append(b'"\\\\x%b"' % value.hex().encode())
        else:
            elements.append(b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))
    return b"{%b}" % b",".join(elements)


def text_array(values: Iterable[str]) -> str:
    """A list of texts as PostgreSQL writes arrays."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
